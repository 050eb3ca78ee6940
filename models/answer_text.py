"""An answer as the bytes of its JSON: the numbers of a whole batch are written at once, and cut apart."""

from collections.abc import Mapping
from typing import Any

import orjson

from models.answer import Contributed, Detail, Floats, NotFiniteError, Outputs, Prediction, Told, document
from models.contract import Contract

# In the place of what differs from row to row. JSON itself never has it: in a string it is escaped.
GAP = b"\x00"
# Rows whose length is the caller's have a shape each; of so many forms the text around the numbers is kept.
MOST_FRAMES = 64
# Of so many, what belongs to each is written, and that of the predicted one chosen: taking it out first takes longer.
FEW_LABELS = 4


class AnswerText:
    """How answers of one detail are written, for the predicted label: `opening`, then what `Outputs.answer` says. The
    bytes are those that orjson writes, for a fifth of the time that it takes row by row.
    """

    def __init__(self, contract: Contract, detail: Detail, opening: Mapping[str, Any]) -> None:
        self._contract = contract
        self._detail = detail
        self._opening = opening
        # Where the answers tell contributions.
        self._part = contract.contributions if detail != "none" else None
        self._labels = [orjson.dumps(label) for label in contract.labels]
        self._frames: dict[tuple[tuple[int, ...], ...], list[bytes]] = {}

    def of(self, outputs: Outputs, row: int) -> bytes:
        """One row's answer. Raises NotFiniteError."""
        texts = outputs.texts.get(self)
        if texts is None:
            texts = outputs.texts[self] = self._of_rows(outputs)
        if texts:
            return texts[row]
        answer = {**self._opening, **outputs.answer(row, self._detail, None)}
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    def _of_rows(self, outputs: Outputs) -> list[bytes]:
        """Of all rows. Of none where something in them has no numbers, or some that cannot be told: each is written
        alone.
        """
        weights, part = outputs.weights(self._detail), self._part
        told = [outputs.scores, *weights, *([outputs.tensors[part.bias], outputs.tensors[part.output]] if part else [])]
        if 0 in [values.size for values in told]:
            return []
        labels, best = [self._labels[best] for best in outputs.best], outputs.places_of_best
        try:
            numbers, texts = _cut(outputs.scores.reshape(-1)), [_cut(values) for values in weights]
            if part is not None:
                texts += [labels, self._of_predicted(outputs, part.bias), self._of_predicted(outputs, part.output)]
        except NotFiniteError:  # of some row: each is told its own
            return []
        scores, count = [numbers[place] for place in best], len(self._labels)
        frame, written = list(self._frame(outputs, weights)), []
        for own in zip(labels, scores, *[numbers[label::count] for label in range(count)], *texts, strict=True):
            frame[1::2] = own
            written.append(b"".join(frame))
        return written

    def _of_predicted(self, outputs: Outputs, output: str) -> list[bytes]:
        if len(self._labels) <= FEW_LABELS:
            texts = _cut(outputs.of_labels(output))
            return [texts[place] for place in outputs.places_of_best]
        if not outputs.is_finite(output):
            raise NotFiniteError(output)
        return _cut(outputs.of_predicted(output))

    def _frame(self, outputs: Outputs, weights: list[Floats]) -> list[bytes]:
        """What stands around the numbers: at even places; at odd ones nothing yet."""
        shapes = tuple([values.shape[1:] for values in weights])
        frame = self._frames.get(shapes)
        if frame is None:
            if len(self._frames) >= MOST_FRAMES:
                self._frames.clear()
            frame = self._frames[shapes] = self._new_frame(outputs)
        return frame

    def _new_frame(self, outputs: Outputs) -> list[bytes]:
        gap, told = orjson.Fragment(GAP), outputs.told(self._detail)
        part = self._part
        answer = document(
            self._contract,
            Prediction(gap, gap, [gap] * len(self._labels)),
            [Told(entry, _gap(weights.ndim - 1)) for entry, weights in told],
            None if part is None else Contributed(gap, gap, _gap(outputs.tensors[part.output].ndim - 2)),
        )
        pieces = orjson.dumps({**self._opening, **answer}).split(GAP)
        return [text for piece in pieces for text in (piece, b"")][:-1]


def _gap(axes: int) -> orjson.Fragment:
    """For an array of so many axes: its brackets stay, what is between the outer ones differs."""
    return orjson.Fragment(b"[" * axes + GAP + b"]" * axes)


def _cut(values: Floats) -> list[bytes]:
    """What is between the brackets of each row's JSON: (row, …), with numbers in it. Raises NotFiniteError."""
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" in text:
        raise NotFiniteError("NaN or infinity is among them")
    axes = values.ndim - 1
    return text[1 + axes : -1 - axes].split(b"]" * axes + b"," + b"[" * axes)
