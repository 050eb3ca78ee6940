"""The SE-CNN against NumPy and against torch's own layers put together by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from models.se_cnn import GATE_RANGE, GATES, SECNN, Gate, SECNNSizes, SqueezeExcitation, Stage

FORMULAS = {
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


@pytest.mark.parametrize("gate", GATES)
def test_squeeze_block_is_its_formula(gate: Gate) -> None:
    """Mean over rows and columns, dense, ReLU6, dense, gate: the weights copied over, the same numbers."""
    torch.manual_seed(5)
    block = SqueezeExcitation(16, 4, gate)
    features = torch.randn(6, 16, 5, 7) * 20  # wide enough that ReLU6 and the gates reach their bends
    weights = {name: value.detach().double().numpy() for name, value in block.state_dict().items()}

    squeezed = features.double().numpy().mean(axis=(2, 3))
    hidden = np.clip(squeezed @ weights["reduce.weight"].T + weights["reduce.bias"], 0, 6)
    expected = FORMULAS[gate](hidden @ weights["expand.weight"].T + weights["expand.bias"])

    np.testing.assert_allclose(block(features).detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gate", GATES)
def test_gates_stay_in_their_stated_range(gate: Gate) -> None:
    """The range that the contract states is reached and not left."""
    low, high = GATE_RANGE[gate]
    values = GATES[gate]()(torch.linspace(-10, 10, 10_001))

    assert values.min().item() == pytest.approx(low, abs=1e-6)
    assert values.max().item() == pytest.approx(high if high is not None else 10)


@pytest.mark.parametrize("channels", [1, 3])
def test_forward_is_its_layers_one_after_another(channels: int) -> None:
    """Scaled, normalised, convolved, gated, pooled, read: the same numbers from torch's layers called by hand."""
    torch.manual_seed(6)
    sizes = SECNNSizes(rows=20, columns=24, channels=channels, gate="hard_swish")
    network = SECNN(sizes).eval()
    pictures = torch.randint(0, 256, (3, 20, 24, channels), dtype=torch.uint8)

    x = ((pictures.permute(0, 3, 1, 2) / 255) - sizes.mean) / sizes.standard_deviation
    for number, stage in enumerate(network.stages):
        assert isinstance(stage, Stage)
        x = nn.functional.relu(stage.normalisation(stage.convolution(x)))
        if number:
            gates = network.blocks[number - 1](x)
            x = x * gates.reshape(3, -1, 1, 1)
    expected = network.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))
    output = network(pictures)

    torch.testing.assert_close(output.logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.probabilities, expected.softmax(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.attention["gates_5"], gates, rtol=1e-4, atol=1e-5)


def test_contributions_add_up_to_each_classes_logit() -> None:
    """bias + the sum over rows and columns = logit, for every class."""
    torch.manual_seed(7)
    network = SECNN(SECNNSizes()).eval()

    output = network(torch.randint(0, 256, (5, 40, 40, 1), dtype=torch.uint8))

    torch.testing.assert_close(output.bias + output.contributions.sum((2, 3)), output.logits, rtol=1e-4, atol=1e-5)
    assert output.contributions.shape == (5, 10, 10, 10)


def test_a_cells_contribution_is_what_the_logit_loses_without_it() -> None:
    """The last map with one cell set to zero gives a logit smaller by that cell's contribution."""
    torch.manual_seed(8)
    network = SECNN(SECNNSizes()).eval()
    captured: list[torch.Tensor] = []
    network.stages[-1].register_forward_hook(lambda module, inputs, output: captured.append(output))
    output = network(torch.randint(0, 256, (1, 40, 40, 1), dtype=torch.uint8))
    features = captured[0] * output.attention["gates_5"][:, :, None, None]

    without = features.clone()
    without[:, :, 4, 6] = 0
    taken = output.logits - network.head(without.mean((2, 3)))

    torch.testing.assert_close(output.contributions[:, :, 4, 6], taken, rtol=1e-4, atol=1e-5)


def test_it_has_fewer_than_a_hundred_thousand_parameters() -> None:
    """Small enough to train while somebody waits."""
    assert sum(parameter.numel() for parameter in SECNN(SECNNSizes()).parameters()) < 100_000
