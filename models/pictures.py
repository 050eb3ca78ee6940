"""Pictures of answers, as Vega-Lite specifications: plain data that a page, a report or a renderer can draw."""

from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
BLUE, ORANGE = "#3b6ea8", "#d9822b"  # told apart by every kind of colour vision
CONFIG: Spec = {
    "font": "Helvetica, Arial, sans-serif",
    "background": "white",
    "view": {"stroke": None},
    "axis": {"grid": False, "domainColor": "#999", "tickColor": "#999", "labelColor": "#333", "titleColor": "#333"},
    "title": {"anchor": "start", "fontSize": 13, "fontWeight": 600, "color": "#222"},
    "bar": {"color": BLUE},
}


def document(spec: Spec) -> Spec:
    """A specification that stands alone: with its schema and the house's looks."""
    return {"$schema": SCHEMA, "config": CONFIG, **spec}


def bars(values: Sequence[float], axis: str, title: str, highlight: int | None = None) -> Spec:
    """One bar for each place of an axis, such as the mean attention weight of every time step. `highlight`: the place
    where the weight ought to be."""
    rows = [{axis: place, "weight": float(value), "known": place == highlight} for place, value in enumerate(values)]
    return {
        "title": title,
        "width": {"step": 34},
        "height": 200,
        "data": {"values": rows},
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "x": {"field": axis, "type": "ordinal", "axis": {"labelAngle": 0}},
            "y": {"field": "weight", "type": "quantitative", "title": "attention weight"},
            "color": {
                "condition": {"test": "datum.known", "value": ORANGE},
                "value": BLUE,
            },
        },
    }


def contribution_map(
    picture_url: str, region: Sequence[float], size: tuple[int, int], values: Sequence[Sequence[float]], title: str
) -> Spec:
    """A map of contributions over a picture. `region` is the rectangle that the map covers, left, top, right, bottom in
    pixels of the picture; `size` the picture's (width, height); `values` (row, column), in logits."""
    left, top, right, bottom = region
    rows, columns = len(values), len(values[0])
    cells = [
        {
            "left": left + (right - left) * column / columns,
            "right": left + (right - left) * (column + 1) / columns,
            "top": top + (bottom - top) * row / rows,
            "bottom": top + (bottom - top) * (row + 1) / rows,
            "contribution": float(value),
        }
        for row, line in enumerate(values)
        for column, value in enumerate(line)
    ]
    most = max(abs(cell["contribution"]) for cell in cells) or 1.0
    x = {"scale": {"domain": [0, size[0]], "nice": False}, "axis": None, "type": "quantitative"}
    y = {"scale": {"domain": [size[1], 0], "nice": False}, "axis": None, "type": "quantitative"}
    side = 150
    width, height = (
        (side, round(side * size[1] / size[0])) if size[0] >= size[1] else (round(side * size[0] / size[1]), side)
    )
    return {
        "title": title,
        "width": width,
        "height": height,
        "layer": [
            {
                "data": {"values": [{"url": picture_url}]},
                "mark": {"type": "image", "width": width, "height": height, "align": "left", "baseline": "top"},
                "encoding": {"x": {"value": 0}, "y": {"value": 0}, "url": {"field": "url", "type": "nominal"}},
            },
            {
                "data": {"values": cells},
                "mark": {"type": "rect", "clip": True},
                "encoding": {
                    "x": {"field": "left", **x},
                    "x2": {"field": "right"},
                    "y": {"field": "top", **y},
                    "y2": {"field": "bottom"},
                    "color": {
                        "field": "contribution",
                        "type": "quantitative",
                        "scale": {"domain": [-most, 0, most], "range": [BLUE, "#ffffff", ORANGE]},
                        "legend": None,
                    },
                    # Where a cell says nothing the picture shows through.
                    "opacity": {
                        "condition": {"test": f"abs(datum.contribution) < {most / 20}", "value": 0},
                        "value": 0.6,
                    },
                },
            },
        ],
    }
