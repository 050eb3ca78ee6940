"""The contract of each network: what its graph's tensors mean, where it came from and how good it is."""

import datetime
import subprocess
from typing import Any

from export.recipes import Recipe
from models.attention_lstm import AttentionLSTMSizes
from models.contract import INPUT_AXES, Attention, Contract, Contributions, Input, Outputs
from models.se_cnn import GATE_RANGE, SECNNSizes


def contract_of(recipe: Recipe, fingerprint: str, card: dict[str, Any]) -> Contract:
    """The contract that goes into the recipe's file. `card`: the figures that people are shown."""
    data = recipe.data.card()
    return Contract(
        format=1,
        task=recipe.task,
        labels=recipe.data.labels,
        input=_input(recipe),
        outputs=Outputs(scores="probabilities", logits="logits"),
        attention=_attention(recipe.sizes),
        contributions=Contributions(output="contributions", axes=_contribution_axes(recipe), bias="bias"),
        provenance={
            "recipe": recipe.task,
            "seed": recipe.seed,
            "data": data.name,
            "data_sha256": data.sha256,
            "licence": data.licence,
            "fingerprint": fingerprint,
            "commit": _commit(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
        card=card,
    )


def _input(recipe: Recipe) -> Input:
    axes = INPUT_AXES[recipe.task]
    return (
        Input(name="sequence", axes=axes) if recipe.task == "timeseries" else Input(name="image", axes=axes, fit="pad")
    )


def _attention(sizes: AttentionLSTMSizes | SECNNSizes) -> tuple[Attention, ...]:
    if isinstance(sizes, AttentionLSTMSizes):
        axes = ("batch", "time", "unit")
        return (
            Attention(
                output="attention", kind="temporal", axes=axes, range=(0, 1), sums_to_one_over="time", average=("unit",)
            ),
        )
    return tuple(
        Attention(output=f"gates_{stage}", kind="channel", axes=("batch", "channel"), range=GATE_RANGE[sizes.gate])
        for stage in range(2, len(sizes.widths) + 1)
    )


def _contribution_axes(recipe: Recipe) -> tuple[str, ...]:
    return ("batch", "class", "time") if recipe.task == "timeseries" else ("batch", "class", "row", "column")


def _commit() -> str | None:
    """The commit that the export runs from, marked where files differ from it; None where there is no checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"], capture_output=True, text=True
        )
    except FileNotFoundError:
        return None
    return found.stdout.strip() or None
