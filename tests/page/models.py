"""A repository with every kind of model that the page tells apart, trained for seconds or made by hand."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from export import pipeline
from models.se_cnn import SECNNSizes
from tests.export.quick import quick_image, quick_series
from tests.models.answers import png_of
from tests.service.tiny_models import image_model, publish, timeseries_model

LONG_LABELS = [
    f"{number:02d} a label with a rather long name that says much about what it means" for number in range(100)
]
HOSTILE_LABELS = ["<img src=x onerror=alert(1)>", "größer — 大", "\"quoted\" & 'so'", "night"]
SERIES = [[float(step), float(-step) / 2] for step in range(10)]
FEATURES = 12
WAVES = np.sin(np.arange(1000)[:, None] / 40 + np.arange(FEATURES)).round(3)


def fill(repository: Path) -> None:
    """Publish them."""
    publish(repository, "timeseries", "1", timeseries_model(), [_sample("1", sequence=SERIES)])
    pipeline.export(quick_series(), repository, "timeseries")
    # Gates that may be below zero.
    pipeline.export(replace(quick_image(), sizes=SECNNSizes(gate="hard_swish")), repository, "image")
    fill_with_tiny(repository)


def fill_with_tiny(repository: Path) -> None:
    """Those whose arithmetic is known."""
    two = [_sample("1", sequence=SERIES), _sample("0", sequence=[[-3.0, 4.0]] * 10)]
    publish(repository, "any_length", "1", timeseries_model("time"), two)
    publish(repository, "one_feature", "1", timeseries_model(features=1, contributions=False),
            [_sample("1", sequence=[float(step % 4) for step in range(10)])])  # fmt: skip
    wide = timeseries_model("time", FEATURES, weights=np.linspace(-1, 1, FEATURES, dtype=np.float32))
    publish(repository, "twelve_features", "1", wide, [_sample("1", sequence=WAVES.tolist())])
    publish(repository, "without_attention", "1", timeseries_model(contributions=False, changes={"attention": []}))
    publish(repository, "hostile.labels-1", "1", timeseries_model(changes={"labels": HOSTILE_LABELS[:2]}), two)
    colour = image_model(6, 4, 3, "stretch", HOSTILE_LABELS)
    for version in ("1", "2"):
        publish(
            repository, "colour", version, colour, [_sample(HOSTILE_LABELS[0], image=_encoded(png_of(30, 10, 180)))]
        )
    publish(repository, "going", "1", timeseries_model())
    publish(repository, "hundred_labels", "1", image_model(8, 8, 3, "pad", LONG_LABELS))


def _sample(label: str, **body: Any) -> dict[str, Any]:
    return {"label": label, "body": body}


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
