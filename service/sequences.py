"""JSON bodies of numbers → time series of one model, as long and as wide as it takes them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.problems import InvalidInput
from service.validation import FlatSequenceBody, FlatSequencesBody, SequenceBody, SequencesBody, validated

# Up to here a body is parsed on the event loop: that takes less than the way to a thread and back.
SHORT_BODY_BYTES = 32 * 1024
# A body of numbers has the two quotes of its one member; some more are read, so that the complaint names the member.
MOST_QUOTES_OF_NUMBERS = 64
# A series that is up to this many times too long is read, so that the complaint says by how much.
TOLERATED_EXCESS = 2
NESTED = re.compile(rb'\s*\{\s*"(?:sequence"\s*:\s*\[|sequences"\s*:\s*\[\s*\[)\s*\[')

Input = NDArray[np.float32]
Values = Sequence[Sequence[float]] | Sequence[float]


class SequenceReader:
    """Of a model whose rows are (time, feature); `steps` is None where the length is the caller's."""

    def __init__(self, model: str, steps: int | None, features: int) -> None:
        self._model = model
        self._steps = steps
        self._features = features

    def one(self, content: bytes, limit: int) -> Values:
        """The one series of {"sequence": …}. `limit`: the time steps of a call. Raises MalformedBody or InvalidInput,
        as `several` does.
        """
        most = self.most_steps(1, limit)
        self._check_is_sane(content, most)
        body: type[FlatSequenceBody | SequenceBody] = FlatSequenceBody if self._is_flat(content) else SequenceBody
        values: Values = validated(body, content).sequence
        self._check_count(values, "sequence")
        _check_steps(len(values), most)
        return values

    def tensor(self, series: Sequence[Values]) -> Input:
        """(series, time, feature), of series of one length, each the one of its call. Raises InvalidInput where the
        only one has rows of a wrong length; ValueError where one of several has, or is flat and others are not.
        """
        if len(series) == 1:
            return self._row(series[0], "sequence")
        return self._rows(series)

    def several(self, content: bytes, inputs: int, limit: int) -> list[Input]:
        """The series of {"sequences": …}, at most so many `inputs`: (time, feature) each."""
        most = self.most_steps(inputs, limit)
        self._check_is_sane(content, most)
        body: type[FlatSequencesBody | SequencesBody] = FlatSequencesBody if self._is_flat(content) else SequencesBody
        sequences: Sequence[Values] = validated(body, content).sequences
        check_count(len(sequences), inputs, "sequences")
        _check_steps(sum(map(len, sequences)), most)
        rows = []
        for index, values in enumerate(sequences):
            place = f"sequences[{index}]"
            self._check_count(values, place)
            rows.append(self._row(values, place)[0])
        return rows

    def most_steps(self, inputs: int, limit: int) -> int:
        """The time steps that one call may have in all. One series of the model's own length is never too long."""
        return limit if self._steps is None else max(self._steps, min(inputs * self._steps, limit))

    def _is_flat(self, content: bytes) -> bool:
        # A series of one feature may be flat or nested: told apart by the first brackets, so that a complaint speaks
        # of one form and not of both.
        return self._features == 1 and NESTED.match(content) is None

    def _check_is_sane(self, content: bytes, most_steps: int) -> None:
        """Refuse long bodies that cannot be right before they are parsed: parsed, they take fifty times their length.
        Commas part both values and lists, so they bound what a parser makes of the body.
        """
        if len(content) <= SHORT_BODY_BYTES:
            return
        if content.count(b'"') > MOST_QUOTES_OF_NUMBERS:
            raise InvalidInput("the body has strings or unknown members in it, expected are numbers alone")
        if content.count(b",") > TOLERATED_EXCESS * most_steps * self._features + SHORT_BODY_BYTES:
            steps = f"{most_steps} time steps of {self._features} features"
            raise InvalidInput(f"the body has far more values than {steps}")

    def _check_count(self, values: Values, place: str) -> None:
        count = len(values)
        if not count or (self._steps is not None and count != self._steps):
            taken = "at least 1" if self._steps is None else self._steps
            raise InvalidInput(f"{place} has {count} time steps, model '{self._model}' takes {taken}")

    def _rows(self, series: Sequence[Values]) -> Input:
        return np.array(series, np.float32).reshape(len(series), len(series[0]), self._features)

    def _row(self, values: Values, place: str) -> Input:
        try:
            return self._rows([values])
        except ValueError:  # rows of other lengths
            raise self._complaint(values, place) from None

    def _complaint(self, values: Sequence[Any], place: str) -> InvalidInput:
        step, row = next((step, row) for step, row in enumerate(values) if len(row) != self._features)
        return InvalidInput(
            f"{place}[{step}] has {len(row)} values, model '{self._model}' takes {self._features} features"
        )


def check_count(count: int, most: int, place: str) -> None:
    """Raises InvalidInput where a call has no inputs, or too many."""
    if not 1 <= count <= most:
        raise InvalidInput(f"{place} has {count} inputs, 1 to {most} are taken")


def _check_steps(steps: int, most: int) -> None:
    if steps > most:
        raise InvalidInput(f"the call has {steps} time steps, at most {most} are taken")
