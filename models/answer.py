"""An answer: the output tensors of one forward pass, read by the contract, as the JSON that people and programs get."""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

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


class Outputs:
    """The tensors of one run, (batch, …) each: all that `outputs_needed` names for the details that are asked of it.
    What its answers share is computed for the whole batch, once: a row's share of it costs a tenth.
    """

    def __init__(self, contract: Contract, tensors: Mapping[str, Floats]) -> None:
        self.contract = contract
        self.tensors = tensors
        # Of all rows, by who writes them.
        self.texts: dict[object, list[bytes]] = {}
        self._weights: dict[Detail, list[Floats]] = {"none": []}
        self._told: dict[Detail, list[Told]] = {}

    def answer(self, row: int, detail: Detail, label: str | None) -> dict[str, Any]:
        """One row's answer. `label`, one of the contract's or None for the predicted one, chooses whose contributions
        are told. Numbers stay NumPy float32, scalars too: an encoder writes them as short as float32 allows.

        Raises NotFiniteError.
        """
        self.check(row)
        labels = self.contract.labels
        best, scores = self.best[row], self.scores[row]
        index = best if label is None else labels.index(label)
        part = None if detail == "none" else self.contract.contributions
        return document(
            self.contract,
            Prediction(labels[best], scores[best], scores),
            [Told(entry, weights[row]) for entry, weights in self.told(detail)],
            None if part is None else self._contributed(part, row, index),
        )

    def _contributed(self, part: Contributions, row: int, index: int) -> "Contributed":
        bias, values = self.tensors[part.bias], self.tensors[part.output]
        return Contributed(self.contract.labels[index], bias[row, index], values[row, index])

    def check(self, row: int) -> None:
        """Raises NotFiniteError where a number of this row cannot be told."""
        for name, is_finite in self._not_finite.items():
            if not is_finite[row]:
                raise NotFiniteError(f"the model's output '{name}' is not finite for this input")

    @property
    def scores(self) -> Floats:
        """(batch, label)."""
        return self.tensors[self.contract.outputs.scores]

    def distributions(self) -> Iterator[tuple[Attention, Floats]]:
        """Each attention output that was fetched and whose weights sum to 1 over an axis, and these: (batch, …)."""
        for entry in self.contract.attention:
            if entry.sums_to_one_over is not None and entry.output in self.tensors:
                yield entry, self.tensors[entry.output]

    @cached_property
    def _not_finite(self) -> dict[str, NDArray[np.bool_]]:
        """For each output that has such a value: which rows are without one."""
        found: dict[str, NDArray[np.bool_]] = {}
        for name, values in self.tensors.items():
            if not self.is_finite(name):
                is_finite = np.isfinite(values)
                if not is_finite.all():
                    found[name] = np.array([row.all() for row in is_finite])
        return found

    @cached_property
    def best(self) -> list[int]:
        """The index of each row's predicted label."""
        best: list[int] = self.scores.argmax(axis=1).tolist()
        return best

    def of_predicted(self, output: str) -> Floats:
        """Of values for each label, (batch, label, …), those of each row's predicted one: (batch, …)."""
        return self.of_labels(output).take(self.places_of_best, axis=0)

    def of_labels(self, output: str) -> Floats:
        """Of values for each label, (batch, label, …), all rows' labels, one row's after another's: (…)."""
        values = self.tensors[output]
        return values.reshape(-1, *values.shape[2:])

    @cached_property
    def places_of_best(self) -> list[int]:
        """Of each row's predicted label, among all rows' labels."""
        labels = self.scores.shape[1]
        return [row * labels + best for row, best in enumerate(self.best)]

    def is_finite(self, output: str) -> bool:
        """Whether each number of it is; of huge ones it may be denied."""
        return _is_finite(self.tensors[output])

    def weights(self, detail: Detail) -> list[Floats]:
        """Of each attention output, (batch, …), averaged where the detail says so."""
        if detail not in self._weights:
            entries = self.contract.attention
            self._weights[detail] = [_weights(entry, self.tensors[entry.output], detail) for entry in entries]
        return self._weights[detail]

    def told(self, detail: Detail) -> "list[Told]":
        """What is said of each attention output."""
        if detail not in self._told:
            # Of no detail there are no weights.
            entries = zip(self.contract.attention, self.weights(detail), strict=False)
            self._told[detail] = [_told(entry, weights, detail) for entry, weights in entries]
        return self._told[detail]


class Prediction(NamedTuple):
    """The predicted label, its score, and every label's."""

    label: Any
    score: Any
    scores: Iterable[Any]


class Told(NamedTuple):
    """What is said of one attention output, and its weights: (batch, …), or one row's."""

    entry: dict[str, Any]
    weights: Any


class Contributed(NamedTuple):
    """What one row's parts added to a label's logit."""

    label: Any
    bias: Any
    values: Any


def document(
    contract: Contract, prediction: Prediction, attention: Iterable[Told], contributed: Contributed | None
) -> dict[str, Any]:
    """An answer's form; its numbers are whatever an encoder takes for them."""
    part, contributions = contract.contributions, None
    if part is not None and contributed is not None:
        label, bias, values = contributed
        contributions = {"label": label, "unit": "logit", "axes": part.axes[2:], "bias": bias, "values": values}
    return {
        "prediction": {
            "label": prediction.label,
            "score": prediction.score,
            "scores": dict(zip(contract.labels, prediction.scores, strict=True)),
        },
        "attention": [{**entry, "weights": weights} for entry, weights in attention],
        "contributions": contributions,
    }


def _mean(values: Floats, axes: tuple[int, ...]) -> Floats:
    count, kept = math.prod(values.shape[axis] for axis in axes), values.ndim - len(axes)
    # NumPy's own asks for longer than it adds up; a product with ones does not.
    if count and sorted(axes) == list(range(kept, values.ndim)) and _is_finite(values):
        mean: Floats = values.reshape(-1, count).dot(_ones(count)).reshape(values.shape[:kept]) / np.float32(count)
        return mean
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.add.reduce(values, axis=axes) / np.float32(count)
        if not _is_finite(mean):
            # The mean of huge numbers is a float32, where their sum is none.
            exact = (np.add.reduce(values, axis=axes, dtype=np.float64) / count).astype(np.float32)
            mean = np.where(np.isfinite(mean), mean, exact)
    return mean


def _is_finite(values: Floats) -> bool:
    """Whether each number is; of huge ones, whose squares are not, it is denied: this is quick, not exact."""
    return math.isfinite(np.vdot(values, values))


@lru_cache
def _ones(count: int) -> Floats:
    return np.ones(count, np.float32)


def _averaged(entry: Attention, detail: Detail) -> tuple[str, ...]:
    return tuple(entry.average) if detail == "summary" else ()


def _weights(entry: Attention, weights: Floats, detail: Detail) -> Floats:
    averaged = _averaged(entry, detail)
    if averaged:
        weights = _mean(weights, tuple(entry.axes.index(axis) for axis in averaged))
    return np.ascontiguousarray(weights)


def _told(entry: Attention, weights: Floats, detail: Detail) -> Told:
    averaged = _averaged(entry, detail)
    told = {
        "name": entry.output,
        "kind": entry.kind,
        "axes": [axis for axis in entry.axes[1:] if axis not in averaged],
        "shape": list(weights.shape[1:]),
        "range": list(entry.range),
        "sums_to_one_over": entry.sums_to_one_over,
        "averaged_over": list(averaged),
    }
    return Told(told, weights)
