"""An answer: the output tensors of one forward pass, read by the contract, as the JSON that people and programs get."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.contract import Attention, Contract, Contributions
from models.entropy import entropy_ratios

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


class Outputs:
    """The tensors of one run, (batch, …) each: all that `outputs_needed` names for the details that are asked of it.
    What its answers share is computed for the whole batch, once: a row's share of it costs a tenth.
    """

    def __init__(self, contract: Contract, tensors: Mapping[str, Floats]) -> None:
        self.contract = contract
        self.tensors = tensors
        self._attention: dict[Detail, list[_Told]] = {"none": []}

    def answer(self, row: int, detail: Detail, label: str | None) -> dict[str, Any]:
        """One row's answer. `label`, one of the contract's or None for the predicted one, chooses whose contributions
        are told. Numbers stay NumPy float32, scalars too: an encoder writes them as short as float32 allows.

        Raises NotFiniteError.
        """
        for name, is_finite in self._not_finite.items():
            if not is_finite[row]:
                raise NotFiniteError(f"the model's output '{name}' is not finite for this input")
        labels = self.contract.labels
        best, scores = self._best[row], self.tensors[self.contract.outputs.scores][row]
        index = best if label is None else labels.index(label)
        contributions = None if detail == "none" else self.contract.contributions
        return {
            "prediction": {
                "label": labels[best],
                "score": scores[best],
                "scores": dict(zip(labels, scores, strict=True)),
            },
            "attention": [{**entry, "weights": weights[row]} for entry, weights in self._told(detail)],
            "contributions": contributions and self._contributions(contributions, row, index),
        }

    def entropy_ratios(self) -> Iterator[tuple[str, Floats]]:
        """Of each attention output that was fetched and is a distribution: how evenly each row's is spread."""
        for entry in self.contract.attention:
            if entry.sums_to_one_over is not None and entry.output in self.tensors:
                axis = entry.axes.index(entry.sums_to_one_over)
                yield entry.output, entropy_ratios(self.tensors[entry.output], axis)

    @cached_property
    def _not_finite(self) -> dict[str, NDArray[np.bool_]]:
        """For each output that has such a value: which rows are without one."""
        found: dict[str, NDArray[np.bool_]] = {}
        for name, values in self.tensors.items():
            is_finite = np.isfinite(values)
            if not is_finite.all():
                found[name] = np.array([row.all() for row in is_finite])
        return found

    @cached_property
    def _best(self) -> list[int]:
        best: list[int] = self.tensors[self.contract.outputs.scores].argmax(axis=1).tolist()
        return best

    def _told(self, detail: Detail) -> "list[_Told]":
        if detail not in self._attention:
            entries = self.contract.attention
            self._attention[detail] = [_attention(entry, self.tensors[entry.output], detail) for entry in entries]
        return self._attention[detail]

    def _contributions(self, part: Contributions, row: int, index: int) -> dict[str, Any]:
        return {
            "label": self.contract.labels[index],
            "unit": "logit",
            "axes": part.axes[2:],
            "bias": self.tensors[part.bias][row, index],
            "values": self.tensors[part.output][row, index],
        }


class _Told(NamedTuple):
    """What is said of one attention output, and its weights: (batch, …)."""

    entry: dict[str, Any]
    weights: Floats


def _attention(entry: Attention, weights: Floats, detail: Detail) -> _Told:
    averaged = entry.average if detail == "summary" else ()
    if averaged:
        weights = weights.mean(axis=tuple(entry.axes.index(axis) for axis in averaged))
    told = {
        "name": entry.output,
        "kind": entry.kind,
        "axes": [axis for axis in entry.axes[1:] if axis not in averaged],
        "shape": list(weights.shape[1:]),
        "range": list(entry.range),
        "sums_to_one_over": entry.sums_to_one_over,
        "averaged_over": list(averaged),
    }
    return _Told(told, np.ascontiguousarray(weights))
