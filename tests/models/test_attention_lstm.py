"""The attention-LSTM against a NumPy transcription of its formulas."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.attention_lstm import AttentionLSTM, AttentionLSTMSizes, Head

Floats = NDArray[np.float64]


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Floats) -> Floats:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _weights(network: AttentionLSTM) -> dict[str, Floats]:
    return {name: value.detach().double().numpy() for name, value in network.state_dict().items()}


def _lstm(sequence: Floats, weights: dict[str, Floats]) -> Floats:
    """(batch, time, feature) → (batch, time, unit), the gates in torch's order: input, forget, cell, output."""
    units = weights["lstm.weight_hh_l0"].shape[1]
    hidden, cell = np.zeros((len(sequence), units)), np.zeros((len(sequence), units))
    steps = []
    for time in range(sequence.shape[1]):
        gates = (
            sequence[:, time] @ weights["lstm.weight_ih_l0"].T
            + hidden @ weights["lstm.weight_hh_l0"].T
            + weights["lstm.bias_ih_l0"]
            + weights["lstm.bias_hh_l0"]
        )
        write, keep, new, show = np.split(gates, 4, axis=1)
        cell = _sigmoid(keep) * cell + _sigmoid(write) * np.tanh(new)
        hidden = _sigmoid(show) * np.tanh(cell)
        steps.append(hidden)
    return np.stack(steps, axis=1)


def _trained_looking(sizes: AttentionLSTMSizes) -> AttentionLSTM:
    """A network whose biases are not zero either."""
    torch.manual_seed(3)
    network = AttentionLSTM(sizes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


@pytest.mark.parametrize(("time_steps", "features", "units"), [(10, 2, 32), (3, 1, 4), (24, 5, 8)])
def test_attention_is_the_texts_block(time_steps: int, features: int, units: int) -> None:
    """Transpose, one dense layer over time with softmax, transpose back: the weights copied over, the same numbers."""
    network = _trained_looking(AttentionLSTMSizes(time_steps, features, units))
    weights = _weights(network)
    sequence = np.random.default_rng(1).normal(0, 5, (7, time_steps, features))

    hidden = _lstm(sequence, weights)
    by_unit = hidden.transpose(0, 2, 1)
    expected = _softmax(by_unit @ weights["attention.dense.weight"].T + weights["attention.dense.bias"]).transpose(
        0, 2, 1
    )
    output = network(torch.from_numpy(sequence).float())

    np.testing.assert_allclose(output.attention["attention"].detach(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(expected.sum(axis=1), 1)


@pytest.mark.parametrize("head", ["flatten", "context"])
def test_logits_are_a_dense_unit_over_the_weighted_steps(head: Head) -> None:
    """Flattened, or summed over time first; z becomes two labels with their log-odds."""
    network = _trained_looking(AttentionLSTMSizes(head=head))
    weights = _weights(network)
    sequence = np.random.default_rng(2).normal(0, 5, (7, 10, 2))
    output = network(torch.from_numpy(sequence).float())

    weighted = output.attention["attention"].detach().double().numpy() * _lstm(sequence, weights)
    read = weighted.reshape(7, -1) if head == "flatten" else weighted.sum(axis=1)
    unit = read @ weights["head_weight"].reshape(-1) + weights["head_bias"]

    np.testing.assert_allclose(output.logits.detach(), np.stack([-unit, unit], axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        output.probabilities.detach(), np.stack([1 - _sigmoid(unit), _sigmoid(unit)], axis=1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("head", ["flatten", "context"])
def test_contributions_add_up_to_each_labels_logit(head: Head) -> None:
    """bias + the sum over time = logit, for both labels."""
    network = _trained_looking(AttentionLSTMSizes(head=head))
    output = network(torch.randn(9, 10, 2) * 10)

    total = output.bias + output.contributions.sum(dim=2)

    np.testing.assert_allclose(total.detach(), output.logits.detach(), rtol=1e-4, atol=1e-5)


def test_a_steps_contribution_is_its_share_of_the_hidden_state() -> None:
    """Setting one step's hidden state to zero behind the attention takes exactly its contribution from the logit."""
    network = _trained_looking(AttentionLSTMSizes())
    weights = _weights(network)
    sequence = np.random.default_rng(4).normal(0, 5, (1, 10, 2))
    output = network(torch.from_numpy(sequence).float())
    weighted = output.attention["attention"].detach().double().numpy() * _lstm(sequence, weights)

    for step in range(10):
        without = weighted.copy()
        without[:, step] = 0
        unit = without.reshape(1, -1) @ weights["head_weight"].reshape(-1) + weights["head_bias"]
        taken = output.logits[0, 1].item() - unit.item()

        assert output.contributions[0, 1, step].item() == pytest.approx(taken, rel=1e-4, abs=1e-5)


def test_it_starts_as_keras_starts() -> None:
    """Glorot limits over the four gates' joint kernel, orthogonal recurrence, forget bias 1, no second bias."""
    torch.manual_seed(0)
    network = AttentionLSTM(AttentionLSTMSizes())
    weights = _weights(network)

    limit = (6 / (2 + 4 * 32)) ** 0.5
    assert 0.9 * limit < np.abs(weights["lstm.weight_ih_l0"]).max() <= limit
    recurrent = weights["lstm.weight_hh_l0"]
    np.testing.assert_allclose(recurrent.T @ recurrent, np.eye(32), atol=1e-5)
    np.testing.assert_array_equal(weights["lstm.bias_ih_l0"], np.repeat([0, 1, 0, 0], 32))
    np.testing.assert_array_equal(weights["lstm.bias_hh_l0"], 0)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 4 * 32 * (2 + 32 + 1) + 10 * 11 + 321
