"""An answer as the bytes of its JSON: the numbers of a whole batch are written at once, and cut apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from models.answer import Contributed, Detail, Outputs, Prediction, Told, document
from models.contract import Contract

# In the place of what differs from row to row. JSON itself never has it: in a string it is escaped.
GAP = b"\x00"
# So few rows are written sooner one by one.
FEW = 5
# Rows whose length is the caller's have a shape each; of so many forms the text around the numbers is kept.
MOST_FRAMES = 64


class AnswerText:
    """How answers of one detail are written, for the predicted label: `opening`, then what `Outputs.answer` says. The
    bytes are those that orjson writes, for a fifth of the time that it takes row by row.
    """

    def __init__(self, contract: Contract, detail: Detail, opening: Mapping[str, Any]) -> None:
        self._contract = contract
        self._detail = detail
        self._opening = opening
        self._labels = [orjson.dumps(label) for label in contract.labels]
        self._frames: dict[tuple[tuple[int, ...], ...], list[bytes]] = {}

    def of(self, outputs: Outputs, row: int) -> bytes:
        """One row's answer. Raises NotFiniteError."""
        if len(outputs.best) < FEW:
            answer = {**self._opening, **outputs.answer(row, self._detail, None)}
            return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        outputs.check(row)
        texts = outputs.texts.get(self)
        if texts is None:
            texts = outputs.texts[self] = self._of_rows(outputs)
        return texts[row]

    def _of_rows(self, outputs: Outputs) -> list[bytes]:
        told = outputs.told(self._detail)
        numbers = _cut(outputs.scores.reshape(-1))
        columns = [_cut(weights) for _, weights in told]
        part = self._contract.contributions if self._detail != "none" else None
        if part is not None:
            predicted = (np.arange(len(outputs.best)), outputs.best)
            columns += [_cut(outputs.tensors[name][predicted]) for name in (part.bias, part.output)]
        frame, count = list(self._frame(outputs)), len(self._labels)
        texts = []
        for row, best in enumerate(outputs.best):
            label, scores = self._labels[best], numbers[row * count : (row + 1) * count]
            own = [column[row] for column in columns]
            if part is not None:
                own.insert(len(told), label)
            frame[1::2] = (label, scores[best], *scores, *own)
            texts.append(b"".join(frame))
        return texts

    def _frame(self, outputs: Outputs) -> list[bytes]:
        """What stands around the numbers: at even places; at odd ones nothing yet."""
        shapes = tuple(weights.shape[1:] for _, weights in outputs.told(self._detail))
        frame = self._frames.get(shapes)
        if frame is None:
            if len(self._frames) >= MOST_FRAMES:
                self._frames.clear()
            frame = self._frames[shapes] = self._new_frame(outputs)
        return frame

    def _new_frame(self, outputs: Outputs) -> list[bytes]:
        gap = orjson.Fragment(GAP)
        answer = document(
            self._contract,
            Prediction(gap, gap, [gap] * len(self._labels)),
            [Told(entry, gap) for entry, _ in outputs.told(self._detail)],
            None if self._detail == "none" else Contributed(gap, gap, gap),
        )
        pieces = orjson.dumps({**self._opening, **answer}).split(GAP)
        return [part for piece in pieces for part in (piece, b"")][:-1]


def _cut(values: NDArray[np.float32]) -> list[bytes]:
    """The JSON of each row: (row, …)."""
    if not values.size:
        return [orjson.dumps(row.tolist()) for row in values]
    text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    inner = values.ndim - 1
    if not inner:
        return text[1:-1].split(b",")
    opening, closing = b"[" * inner, b"]" * inner
    rows = text[1 + inner : -1 - inner].split(closing + b"," + opening)
    return [opening + row + closing for row in rows]
