"""An answer: the output tensors of one forward pass, read by the contract, as the JSON that people and programs get."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.contract import Attention, Contract, Contributions

Detail = Literal["summary", "full", "none"]
Floats = NDArray[np.float32]


class NotFiniteError(ValueError):
    """The graph answered with NaN or infinity, which JSON cannot say."""


def outputs_needed(contract: Contract, detail: Detail) -> tuple[str, ...]:
    """The graph's outputs that an answer of this detail is made of. `none` needs the scores alone."""
    names = [contract.outputs.scores]
    if detail != "none":
        names += [entry.output for entry in contract.attention]
        if contract.contributions:
            names += [contract.contributions.output, contract.contributions.bias]
    return tuple(names)


def answer(contract: Contract, tensors: Mapping[str, Floats], detail: Detail, label: str | None) -> dict[str, Any]:
    """One row's answer. `tensors` holds that row of `outputs_needed`, without the batch axis; `label`, one of the
    contract's or None for the predicted one, chooses whose contributions are told. Numbers stay
    NumPy float32, scalars too: an encoder writes them as short as float32 allows.

    Raises NotFiniteError.
    """
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise NotFiniteError(f"the model's output '{name}' is not finite for this input")
    scores = tensors[contract.outputs.scores]
    best = int(scores.argmax())
    index = best if label is None else contract.labels.index(label)
    told = [] if detail == "none" else contract.attention
    contributions = None if detail == "none" else contract.contributions
    return {
        "prediction": {
            "label": contract.labels[best],
            "score": scores[best],
            "scores": dict(zip(contract.labels, scores, strict=True)),
        },
        "attention": [_attention(entry, tensors[entry.output], detail) for entry in told],
        "contributions": contributions and _contributions(contributions, tensors, contract.labels[index], index),
    }


def _attention(entry: Attention, weights: Floats, detail: Detail) -> dict[str, Any]:
    axes = entry.axes[1:]
    averaged = entry.average if detail == "summary" else ()
    if averaged:
        weights = weights.mean(axis=tuple(axes.index(axis) for axis in averaged))
    return {
        "name": entry.output,
        "kind": entry.kind,
        "axes": [axis for axis in axes if axis not in averaged],
        "shape": list(weights.shape),
        "range": list(entry.range),
        "sums_to_one_over": entry.sums_to_one_over,
        "averaged_over": list(averaged),
        "weights": np.ascontiguousarray(weights),
    }


def _contributions(part: Contributions, tensors: Mapping[str, Floats], label: str, index: int) -> dict[str, Any]:
    return {
        "label": label,
        "unit": "logit",
        "axes": list(part.axes[2:]),
        "bias": tensors[part.bias][index],
        "values": np.ascontiguousarray(tensors[part.output][index]),
    }
