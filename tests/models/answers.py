"""Answers as /predict/… gives them, of models that do not exist: every kind of attention, any shape."""

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Spec = dict[str, Any]


def softmaxed(shape: Sequence[int], axis: int, seed: int = 0) -> NDArray[np.float64]:
    """Weights that sum to one along an axis."""
    weights = np.random.default_rng(seed).exponential(size=shape)
    shares: NDArray[np.float64] = weights / weights.sum(axis=axis, keepdims=True)
    return shares


def entry(kind: str, axes: Sequence[str], weights: NDArray[np.float64], **members: Any) -> Spec:
    """One entry of `attention`."""
    return {
        "name": "attention", "kind": kind, "axes": list(axes), "shape": list(weights.shape), "range": [0, 1],
        "sums_to_one_over": None, "averaged_over": [], "weights": weights.tolist(), **members,
    }  # fmt: skip


def contributions(axes: Sequence[str], values: NDArray[np.float64], bias: float = -0.25) -> Spec:
    """`contributions` to the logit of label 1."""
    return {"label": "1", "unit": "logit", "axes": list(axes), "bias": bias, "values": values.tolist()}


def answer(attention: Sequence[Spec] = (), told: Spec | None = None, **members: Any) -> Spec:
    """A whole answer; with `image` it is one about an image."""
    return {
        "model": {"name": "imagined", "version": "3", "task": "image" if "image" in members else "timeseries"},
        "prediction": {"label": "1", "score": 0.75, "scores": {"0": 0.25, "1": 0.75}},
        "attention": list(attention), "contributions": told, **members,
    }  # fmt: skip


def about_image(width: int, height: int, region: Sequence[float] | None = None) -> Spec:
    """The `image` member; without a region the input covers the picture."""
    return {"width": width, "height": height, "region": list(region or (0, 0, width, height))}


def png_of(width: int, height: int, grey: int = 0) -> bytes:
    """A picture of one grey."""
    file = io.BytesIO()
    Image.new("L", (width, height), grey).save(file, "PNG")
    return file.getvalue()


def data_url(content: bytes) -> str:
    """The same as a data: URL."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def parts(spec: Spec) -> Iterator[Spec]:
    """A specification and all that it is put together from, in order."""
    yield spec
    for members in (spec.get(kind, []) for kind in ("vconcat", "hconcat", "concat", "layer")):
        for member in members:
            yield from parts(member)


def titled(spec: Spec, title: str) -> Spec:
    """The panel with a title."""
    return next(part for part in parts(spec) if "title" in part and " ".join(part["title"]["text"]) == title)


def told_by(panel: Spec) -> str:
    """What stands below the panel's title."""
    return " ".join(panel["title"]["subtitle"])


def records(panel: Spec, field: str = "value") -> list[dict[str, Any]]:
    """The first data of a panel, or of a layer in it, that has the field."""
    found = (part["data"]["values"] for part in parts(panel) if "data" in part)
    return next(rows for rows in found if field in rows[0])
