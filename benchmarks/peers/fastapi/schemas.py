"""The request and the answer as pydantic models, as a FastAPI service has them."""

from typing import Any

import numpy as np
from pydantic import BaseModel

from benchmarks.peers.model import Document


class Series(BaseModel):
    """A request: axes time, feature."""

    sequence: list[list[float]]


class Prediction(BaseModel):
    """The label and every label's score."""

    label: str
    score: float
    scores: dict[str, float]


class Attention(BaseModel):
    """One attention output."""

    name: str
    kind: str
    axes: list[str]
    shape: list[int]
    range: list[float | None]
    sums_to_one_over: str | None
    averaged_over: list[str]
    weights: list[float]


class Contributions(BaseModel):
    """Shares of one label's logit: for each step, or for each row and column."""

    label: str
    unit: str
    axes: list[str]
    bias: float
    values: list[float] | list[list[float]]


class Answer(BaseModel):
    """The answer to one series."""

    model: dict[str, str]
    prediction: Prediction
    attention: list[Attention]
    contributions: Contributions | None


class ImageAnswer(Answer):
    """The answer to one picture."""

    image: dict[str, int | list[float]]


def plain(answer: Document) -> Document:
    """The answer with lists and floats in place of arrays."""
    result: Document = _plain(answer)
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
