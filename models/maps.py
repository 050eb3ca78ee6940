"""Maps over a picture: rows and columns of a model, laid over the part of the received picture that they cover."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.grids import Grid
from models.look import ABOVE, BELOW, QUIET, WEIGHT, Spec
from models.panels import LEGEND, Range, edges, tooltip

WHOLE_URL = r"data:image/(?:png|jpeg|gif|webp);base64,"  # a picture that is there: nothing has to be loaded
OPAQUE, CLEAR = "d9", "00"  # where a map says nothing, the picture shows through


@dataclass(frozen=True)
class Received:
    """The picture that was predicted from, as a `data:` URL; its size, and the rectangle that the model's input covers:
    left, top, right, bottom in its pixels. Raises ValueError for a URL that would have to be loaded."""

    url: str
    width: float
    height: float
    region: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        if not re.match(WHOLE_URL, self.url):
            raise ValueError(f"a picture is a data: URL of PNG, JPEG, GIF or WebP in base64, not '{self.url[:40]}'")

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """The least rectangle around the picture and the region, which reaches past a picture that was padded."""
        left, top, right, bottom = self.region
        return min(left, 0), min(top, 0), max(right, self.width), max(bottom, self.height)

    @property
    def is_padded(self) -> bool:
        """Whether the region reaches past the picture."""
        return self.frame != (0, 0, self.width, self.height)


def photograph(received: Received, side: int, layers: Sequence[Spec] = ()) -> Spec:
    """The received picture, as large as a square of `side` pixels allows, under maps that lie over it."""
    left, top, right, bottom = received.frame
    scale = side / max(right - left, bottom - top)
    image = {
        "type": "image",
        "align": "left",
        "baseline": "top",
        "aspect": False,
        "width": received.width * scale,
        "height": received.height * scale,
        "smooth": scale < 1,  # pixels that are enlarged stay pixels
    }
    place = {"x": {"value": -left * scale}, "y": {"value": -top * scale}, "url": {"field": "url", "type": "nominal"}}
    return {
        "width": max(round((right - left) * scale), 1),
        "height": max(round((bottom - top) * scale), 1),
        "view": {"stroke": QUIET, "strokeOpacity": 0.4},
        "layer": [{"data": {"values": [{"url": received.url}]}, "mark": image, "encoding": place}, *layers],
    }


def map_over(received: Received, weights: Grid, measure: str, domain: Range) -> Spec:
    """A layer over `photograph`: a cell for each (row, column), strong where its value is far from zero."""
    down, across = weights.axes
    left, top, right, bottom = received.region
    frame = received.frame
    hidden: Spec = {"type": "quantitative", "axis": None}
    return {
        "data": {"values": weights.rows()},
        "transform": [
            *edges("x", across, left, (right - left) / across.length),
            *edges("y", down, top, (bottom - top) / down.length),
        ],
        "mark": {"type": "rect", "aria": False},
        "encoding": {
            "x": {"field": "x_from", **hidden, "scale": {"domain": [frame[0], frame[2]], "nice": False}},
            "x2": {"field": "x_to"},
            "y": {"field": "y_from", **hidden, "scale": {"domain": [frame[3], frame[1]], "nice": False}},
            "y2": {"field": "y_to"},
            "color": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {**_fading(domain), "interpolate": "rgb"},
                "legend": {**LEGEND, "orient": "bottom"},
            },
            "tooltip": tooltip(weights.axes, measure),
        },
    }


def _fading(domain: Range) -> Spec:
    """From clear at zero to a colour at each end."""
    low, high = domain
    if low >= 0:
        return {"domain": [low, high], "range": [_shade(WEIGHT, CLEAR), _shade(WEIGHT, OPAQUE)]}
    below, above = ([_shade(colour, opacity) for opacity in (CLEAR, OPAQUE)] for colour in (BELOW, ABOVE))
    return {"domain": [low, 0, 0, high], "range": [*reversed(below), *above]}


def _shade(colour: dict[str, str], opacity: str) -> dict[str, str]:
    return {"expr": f"{colour['expr']} + '{opacity}'"}
