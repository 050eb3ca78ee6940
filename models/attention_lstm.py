"""The attention-LSTM: an LSTM over time steps, each unit weighted over time, one sigmoid unit for two labels."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.network import NetworkOutput

Head = Literal["flatten", "context"]


@dataclass(frozen=True)
class AttentionLSTMSizes:
    """Sizes of the network. `head` is what the dense unit reads from the weighted steps: `flatten`, every step and
    unit with a weight of its own (the text's network); `context`, their sum over time, so that the head cannot undo
    the attention."""

    time_steps: int = 10
    features: int = 2
    units: int = 32
    head: Head = "flatten"


class TemporalAttention(nn.Module):
    """The text's attention block: transpose, one dense layer time → time with softmax, transpose back.

    (batch, time, unit) → weights (batch, time, unit); each unit's weights sum to 1 over time. One time × time kernel
    serves all units.
    """

    def __init__(self, time_steps: int) -> None:
        super().__init__()
        self.dense = nn.Linear(time_steps, time_steps)
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        by_unit = hidden.transpose(1, 2)  # (batch, unit, time)
        # As rows of one matrix: its product with a bias is one step of the graph, and quick.
        rows: Tensor = self.dense(by_unit.flatten(0, 1)).softmax(dim=-1)
        return rows.reshape(-1, *by_unit.shape[1:]).transpose(1, 2)


class AttentionLSTM(nn.Module):
    """(batch, time, feature) float32 → NetworkOutput with attention `attention` (batch, time, unit).

    The sigmoid unit's value z becomes two labels, each with its log-odds: logits [-z, z], probabilities [1-σ(z), σ(z)],
    contributions [-c, c] over time. A step's contribution is the share of the hidden state at that step, which has
    seen the earlier steps too; it is not the effect of changing the input there.
    """

    def __init__(self, sizes: AttentionLSTMSizes) -> None:
        super().__init__()
        self.lstm = nn.LSTM(sizes.features, sizes.units, batch_first=True)
        self.attention = TemporalAttention(sizes.time_steps)
        # One row a step for the flattened head; one row for all of them where the head reads the sum over time.
        rows = sizes.time_steps if sizes.head == "flatten" else 1
        self.head_weight = nn.Parameter(torch.empty(rows, sizes.units))
        self.head_bias = nn.Parameter(torch.zeros(1))
        # The unit's value speaks against the first label and for the second.
        self.signs: Tensor
        self.register_buffer("signs", torch.tensor([-1.0, 1.0]), persistent=False)
        _initialise_like_keras(self.lstm)
        _glorot_uniform(self.head_weight, fan_in=self.head_weight.numel(), fan_out=1)

    def forward(self, sequence: Tensor) -> NetworkOutput:
        hidden, _ = self.lstm(sequence)  # (batch, time, unit)
        weights = self.attention(hidden)
        shares = (weights * hidden * self.head_weight).sum(dim=2)  # (batch, time)
        unit = shares.sum(dim=1, keepdim=True) + self.head_bias  # (batch, 1)
        logits = unit * self.signs
        return NetworkOutput(
            logits=logits,
            probabilities=logits.sigmoid(),
            attention={"attention": weights},
            contributions=shares.unsqueeze(1) * self.signs.unsqueeze(1),
            bias=(self.head_bias * self.signs).expand(sequence.shape[0], 2),
        )


def _initialise_like_keras(lstm: nn.LSTM) -> None:
    """Keras's defaults, on which the text's result depends: Glorot uniform over the four gates' joint kernel, an
    orthogonal recurrent kernel, zero biases with 1 at the forget gate. Torch's second bias vector stays zero."""
    units = lstm.hidden_size
    parameters = dict(lstm.named_parameters())
    _glorot_uniform(parameters["weight_ih_l0"], fan_in=lstm.input_size, fan_out=4 * units)
    nn.init.orthogonal_(parameters["weight_hh_l0"])
    nn.init.zeros_(parameters["bias_ih_l0"])
    nn.init.zeros_(parameters["bias_hh_l0"])
    with torch.no_grad():
        parameters["bias_ih_l0"][units : 2 * units] = 1.0  # torch orders the gates input, forget, cell, output
    parameters["bias_hh_l0"].requires_grad_(False)


def _glorot_uniform(weight: Tensor, fan_in: int, fan_out: int) -> None:
    limit = (6 / (fan_in + fan_out)) ** 0.5
    nn.init.uniform_(weight, -limit, limit)
