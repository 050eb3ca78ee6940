"""The figures say what a network did, on outputs made by hand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.datasets.column import Column
from export.datasets.dataset import Samples
from export.figures import gate_statistics, look_at_column, measure
from models.network import NetworkOutput
from tests.export.quick import quick_image


class Fixed(nn.Module):
    """Answers the rows that it was given, one after another, whatever it is asked."""

    def __init__(self, logits: Tensor, attention: dict[str, Tensor], contributions: Tensor) -> None:
        super().__init__()
        self.logits, self.attention, self.contributions = logits, attention, contributions

    def forward(self, inputs: Tensor) -> NetworkOutput:
        count = len(inputs)
        logits = self.logits.expand(count, -1)
        attention = {name: weights.expand(count, *weights.shape[1:]) for name, weights in self.attention.items()}
        contributions = self.contributions.expand(count, *self.contributions.shape[1:])
        return NetworkOutput(logits, logits.softmax(1), attention, contributions, torch.zeros_like(logits))


@dataclass(frozen=True)
class FourPictures:
    """Four 40 × 40 pictures of class 0, 1, 0, 1 with boxes that no exchange of rows and columns leaves alone."""

    labels: tuple[str, ...] = ("a", "b")

    def held_out(self) -> Samples:
        boxes = np.array([[20, 0, 40, 8], [0, 20, 8, 40], [20, 0, 40, 8], [0, 0, 4, 4]])
        return Samples(np.zeros((4, 40, 40, 1), np.uint8), np.array([0, 1, 0, 1]), boxes)


def test_accuracy_and_the_share_in_the_box() -> None:
    """The predicted label's largest cell counts, by its centre, rows downward and columns to the right."""
    shares = torch.zeros(4, 2, 10, 10)
    shares[0, 0, 1, 6] = 1  # centre (26, 6): inside (20..40, 0..8)
    shares[0, 1, 6, 1] = 5  # the other label's: does not count
    shares[1, 1, 6, 1] = 1  # centre (6, 26): inside (0..8, 20..40)
    shares[2, 0, 6, 1] = 1  # rows and columns exchanged: outside
    shares[3, 0, 0, 0] = 1  # predicted wrongly; its largest cell is inside all the same
    logits = torch.tensor([[2.0, 1], [0, 1], [3, 0], [1, 0]])
    recipe = replace(quick_image(), data=FourPictures())  # type: ignore[arg-type]  # card and bodies are not asked for

    card = measure(recipe, Fixed(logits, {}, shares)).card

    assert card["accuracy"] == 0.75
    assert card["largest_contribution_in_box"] == 0.75
    assert card["random_cell_in_box"] == pytest.approx((10 + 10 + 10 + 1) / 400)


@pytest.mark.parametrize(("column", "weight", "contribution"), [(7, 1.0, 0.0), (4, 0.0, 1.0), (5, 0.0, 0.0)])
def test_where_the_weight_and_the_contribution_lie(column: int, weight: float, contribution: float) -> None:
    """Weights are averaged over units; contributions are the predicted label's, the largest, not the smallest."""
    weights = torch.full((1, 10, 2), 0.05)
    weights[0, 7] = torch.tensor([0.5, 0.6])
    weights[0, 3] = torch.tensor([0.55, 0.1])
    shares = torch.zeros(1, 2, 10)
    shares[0, 1, 4], shares[0, 1, 5] = 3, -4
    shares[0, 0, 5] = 9
    network = Fixed(torch.tensor([[-1.0, 1.0]]), {"attention": weights}, shares)

    card, mean = look_at_column(network, Column(1, 1000, attention_column=column))

    assert card["largest_weight_at_column"] == weight
    assert card["largest_contribution_at_column"] == contribution
    assert card["largest_mean_weight_at"] == 7
    assert card["mean_weight_at_column"] == pytest.approx(mean[column])
    assert mean[7] == pytest.approx(0.55)


def test_gate_statistics_are_those_of_the_gates() -> None:
    """Mean, ends, and the shares below and at zero, over samples and channels."""
    gates = np.array([[-0.3, 0.0, 1.5], [-0.1, 0.0, 0.5]], np.float32)

    told = gate_statistics({"gates_2": gates, "logits": gates})

    assert set(told) == {"gates_2"}
    assert told["gates_2"]["mean"] == pytest.approx(gates.mean())
    assert told["gates_2"]["lowest"] == pytest.approx(-0.3)
    assert told["gates_2"]["highest"] == 1.5
    assert told["gates_2"]["share_below_zero"] == pytest.approx(1 / 3)
    assert told["gates_2"]["share_at_zero"] == pytest.approx(1 / 3)
    assert told["gates_2"]["deviation_between_samples"] == pytest.approx((0.1 + 0 + 0.5) / 3)
