"""The figures of a trained network: how often it is right, and whether it looks where it should."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.datasets.column import Column
from export.datasets.dataset import Samples
from export.evaluation import Outputs, evaluate
from export.recipes import Recipe

FRESH_SAMPLES = 10_000
DRAWN_SAMPLES = 300  # the text averages its weights over as many
FRESH_SEED = 20_000  # any number: it only has to stay the same


@dataclass(frozen=True)
class Figures:
    """`card`: what the contract tells people. `outputs`: every output for the held-out `samples`, in their order.
    `weights`: the mean attention weight of every time step, for a time series."""

    card: dict[str, Any]
    samples: Samples
    outputs: Outputs
    weights: NDArray[np.float32] | None = None

    @property
    def accuracy(self) -> float:
        """Share of the held-out samples whose label has the largest logit."""
        return float(self.card["accuracy"])


def measure(recipe: Recipe, network: nn.Module) -> Figures:
    """Accuracy on what training never saw, and where the network looked."""
    samples = recipe.data.held_out()
    outputs = evaluate(network, samples)
    card: dict[str, Any] = {
        "accuracy": float((outputs["logits"].argmax(axis=1) == samples.targets).mean()),
        "held_out_samples": len(samples),
        "parameters": sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad),
    }
    if isinstance(recipe.data, Column):
        where, weights = look_at_column(network, recipe.data)
        return Figures(card | where, samples, outputs, weights)
    if samples.boxes is not None:
        card |= _look_in_boxes(outputs, samples)
    return Figures(card, samples, outputs)


def look_at_column(network: nn.Module, data: Column) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Where the attention and the contributions lie on fresh samples, and the mean weights (time,) of the first 300."""
    fresh = data.fresh(FRESH_SAMPLES, FRESH_SEED)
    outputs = evaluate(network, fresh)
    weights = outputs["attention"].mean(axis=2)  # (sample, time)
    mean: NDArray[np.float32] = weights[:DRAWN_SAMPLES].mean(axis=0)
    told = _predicted_contributions(outputs)  # (sample, time)
    column = data.attention_column
    figures = {
        "attention_column": column,
        "mean_weight_at_column": float(mean[column]),
        "largest_mean_weight_at": int(mean.argmax()),
        "largest_weight_at_column": float((weights.argmax(axis=1) == column).mean()),
        "largest_contribution_at_column": float((told.argmax(axis=1) == column).mean()),
    }
    return figures, mean


def _predicted_contributions(outputs: Outputs) -> NDArray[np.float32]:
    """Of every sample, the contributions to the label that it was given: (sample, position…)."""
    predicted = outputs["logits"].argmax(axis=1)
    contributions: NDArray[np.float32] = outputs["contributions"][np.arange(len(predicted)), predicted]
    return contributions


def _look_in_boxes(outputs: Outputs, samples: Samples) -> dict[str, Any]:
    """Share of pictures whose largest contribution to the predicted label lies in the known box, and a random cell's.

    A cell lies where its centre does.
    """
    assert samples.boxes is not None
    side = samples.inputs.shape[1]
    told = _predicted_contributions(outputs)  # (sample, row, column)
    centres = (np.arange(told.shape[1]) + 0.5) * side / told.shape[1]
    left, top, right, bottom = samples.boxes.T[:, :, None]
    inside = ((centres > top) & (centres < bottom))[:, :, None] & ((centres > left) & (centres < right))[:, None, :]
    largest = told.reshape(len(samples), -1).argmax(axis=1)
    return {
        "largest_contribution_in_box": float(inside.reshape(len(samples), -1)[np.arange(len(samples)), largest].mean()),
        "random_cell_in_box": float(inside.mean()),
    }


def gate_statistics(outputs: Outputs) -> dict[str, dict[str, float]]:
    """How every block's gates are spread over the held-out samples and the channels."""
    return {
        name: {
            "mean": float(gates.mean()),
            "lowest": float(gates.min()),
            "highest": float(gates.max()),
            "share_below_zero": float((gates < 0).mean()),
            "share_at_zero": float((gates == 0).mean()),
            "deviation_between_samples": float(gates.std(axis=0).mean()),
        }
        for name, gates in outputs.items()
        if name.startswith("gates_")
    }
