"""What onnxruntime itself answers from the same file: clients' answers are held against it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.layout import MODEL_FILE

Tensor = NDArray[Any]
Tensors = dict[str, Tensor]

MODELS = ("timeseries", "image")
# A batch of another size may run other code, and the last bits differ.
TOLERANCE = 1e-6
DTYPES = {"tensor(float)": np.dtype(np.float32), "tensor(uint8)": np.dtype(np.uint8)}
DATATYPES = {np.dtype(np.float32): "FP32", np.dtype(np.uint8): "UINT8"}
DEVIATION = 10.0  # of the series that are drawn
BRIGHTEST = 255
DENSITY = 0.1, 1.0  # shares of a picture's pixels that are not black


class Oracle:
    """One model's file, in a session with onnxruntime's own defaults."""

    def __init__(self, repository: Path, model: str) -> None:
        self.model = model
        file = repository / model / "1" / MODEL_FILE
        self._session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        taken = self._session.get_inputs()[0]
        self.input_name: str = taken.name
        self.row_shape: tuple[int, ...] = tuple(taken.shape[1:])
        self.dtype = DTYPES[taken.type]
        self.output_names: list[str] = [output.name for output in self._session.get_outputs()]

    @property
    def datatype(self) -> str:
        """The input's type as the protocol names it."""
        return DATATYPES[self.dtype]

    def draw(self, seed: int, rows: int = 1) -> Tensor:
        """Inputs (batch, …): series of normal values, pictures of noise as dense as the seed has it."""
        generator = np.random.default_rng(seed)
        shape = (rows, *self.row_shape)
        if self.dtype == np.float32:
            return generator.normal(0, DEVIATION, shape).astype(np.float32)
        noise = generator.integers(0, BRIGHTEST, shape, np.uint8, endpoint=True)
        return noise * (generator.random(shape) < generator.uniform(*DENSITY)).astype(np.uint8)

    def answer(self, rows: Tensor) -> Tensors:
        """Every output for these inputs, one run."""
        values = self._session.run(self.output_names, {self.input_name: rows})
        return dict(zip(self.output_names, values, strict=True))


@dataclass(frozen=True)
class Question:
    """An input that no other question has, its id, and what must be answered."""

    id: str
    oracle: Oracle
    rows: Tensor
    expected: Tensors

    def check(self, answered_id: object, answered: Tensors) -> float:
        """Hold an answer against this question; the largest difference. Raises AssertionError."""
        assert answered_id == self.id, f"question {self.id} was answered with id {answered_id}"
        largest = difference(answered, self.expected)
        assert largest <= TOLERANCE, f"the answer to question {self.id} differs by {largest:.2g}"
        return largest


def oracles(repository: Path) -> list[Oracle]:
    """One for each trained model."""
    return [Oracle(repository, model) for model in MODELS]


def questions(known: list[Oracle], count: int, first_seed: int = 0) -> list[Question]:
    """The models in turn. Raises AssertionError where two answers are so alike that a swap would not be seen."""
    drawn = []
    for seed in range(first_seed, first_seed + count):
        oracle = known[seed % len(known)]
        rows = oracle.draw(seed)
        drawn.append(Question(f"question-{seed}", oracle, rows, oracle.answer(rows)))
    for oracle in known:
        _check_apart([one.expected for one in drawn if one.oracle is oracle])
    return drawn


def _check_apart(answers: list[Tensors]) -> None:
    flat = np.stack([np.concatenate([values.ravel() for values in answer.values()]) for answer in answers])
    for place, one in enumerate(flat[:-1]):
        nearest = float(np.abs(flat[place + 1 :] - one).max(axis=1).min())
        assert nearest > 100 * TOLERANCE, f"two questions have answers that differ by {nearest:.2g} only"


def difference(answered: Tensors, expected: Tensors) -> float:
    """The largest over all outputs, as a share of the value where that is above 1. Raises AssertionError where names,
    shapes or types differ.
    """
    assert list(answered) == list(expected), f"outputs {list(answered)} instead of {list(expected)}"
    for name, values in expected.items():
        told = answered[name]
        assert told.shape == values.shape, f"'{name}' has the shape {told.shape} instead of {values.shape}"
        assert told.dtype == values.dtype, f"'{name}' is {told.dtype} instead of {values.dtype}"
    # Not Python's max, to which NaN is no larger than 0.
    return float(
        np.max(
            [
                (np.abs(answered[name] - values) / np.maximum(1, np.abs(values))).max()
                for name, values in expected.items()
            ]
        )
    )


def check_bits(answered: Tensors, expected: Tensors) -> None:
    """Equal to the last bit. Raises AssertionError."""
    largest = difference(answered, expected)
    unequal = [name for name, values in expected.items() if answered[name].tobytes() != values.tobytes()]
    assert not unequal, f"{', '.join(unequal)}: not the same bits, the difference is up to {largest:.2g}"
