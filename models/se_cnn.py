"""The SE-CNN: a small convolutional network whose channels are weighted by squeeze-and-excitation gates."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from models.network import NetworkOutput

Gate = Literal["hard_sigmoid", "hard_swish"]

GATES: dict[Gate, type[nn.Module]] = {"hard_sigmoid": nn.Hardsigmoid, "hard_swish": nn.Hardswish}
GATE_RANGE: dict[Gate, tuple[float, float | None]] = {"hard_sigmoid": (0.0, 1.0), "hard_swish": (-0.375, None)}


@dataclass(frozen=True)
class SECNNSizes:
    """Sizes of the network: the picture, the convolutions' widths and strides, and the input's normalisation."""

    rows: int = 40
    columns: int = 40
    channels: int = 1
    labels: int = 10
    widths: tuple[int, ...] = (16, 32, 64, 64, 40)
    strides: tuple[int, ...] = (2, 1, 2, 1, 1)
    squeeze: int = 4
    gate: Gate = "hard_sigmoid"
    mean: float = 0.5
    standard_deviation: float = 0.25


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation (Hu et al., Squeeze-and-Excitation Networks, 2018).

    Features (batch, channel, row, column) → gates (batch, channel): mean over rows and columns, dense to
    channels / squeeze, ReLU6, dense to channels, gate. Hard-sigmoid gates lie in [0, 1] (MobileNetV3); hard-swish
    gates, the text's, in [-0.375, ∞), so that they can turn a channel's sign.
    """

    def __init__(self, channels: int, squeeze: int, gate: Gate) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, channels // squeeze)
        self.activation = nn.ReLU6()
        self.expand = nn.Linear(channels // squeeze, channels)
        self.gate = GATES[gate]()

    def forward(self, features: Tensor) -> Tensor:
        squeezed = features.mean(dim=(2, 3))  # (batch, channel)
        gates: Tensor = self.gate(self.expand(self.activation(self.reduce(squeezed))))
        return gates


class Stage(nn.Module):
    """Convolution 3×3, batch normalisation, ReLU."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.normalisation = nn.BatchNorm2d(width)
        self.activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        activated: Tensor = self.activation(self.normalisation(self.convolution(features)))
        return activated


class SECNN(nn.Module):
    """(batch, row, column, channel) uint8 → NetworkOutput with attention `gates_2`, … (batch, channel), one for every
    stage but the first.

    Scaling and normalisation are inside. The last feature map is pooled over rows and columns and read by one linear
    layer, so a class's logit is an exact sum over the map's cells: contributions (batch, class, row, column).
    """

    def __init__(self, sizes: SECNNSizes) -> None:
        super().__init__()
        self.sizes = sizes
        inputs = (sizes.channels, *sizes.widths[:-1])
        self.stages = nn.ModuleList(
            Stage(*step) for step in zip(inputs, sizes.widths, sizes.strides, strict=True)
        )  # fmt: skip
        self.blocks = nn.ModuleList(SqueezeExcitation(width, sizes.squeeze, sizes.gate) for width in sizes.widths[1:])
        self.head = nn.Linear(sizes.widths[-1], sizes.labels)

    def forward(self, image: Tensor) -> NetworkOutput:
        normalised = (image.float() / 255 - self.sizes.mean) / self.sizes.standard_deviation
        features = self.stages[0](normalised.permute(0, 3, 1, 2))
        attention = {}
        for number, (stage, block) in enumerate(zip(self.stages[1:], self.blocks, strict=True), start=2):
            features = stage(features)
            gates = block(features)
            features = features * gates[:, :, None, None]
            attention[f"gates_{number}"] = gates
        logits = self.head(features.mean(dim=(2, 3)))
        return NetworkOutput(
            logits=logits,
            probabilities=logits.softmax(dim=1),
            attention=attention,
            contributions=self._contributions(features),
            bias=self.head.bias.expand(image.shape[0], -1),
        )

    def _contributions(self, features: Tensor) -> Tensor:
        """(batch, channel, row, column) → (batch, class, row, column): every cell's share of the pooled mean."""
        shares = features / (features.shape[2] * features.shape[3])
        return nn.functional.conv2d(shares, self.head.weight[:, :, None, None])
