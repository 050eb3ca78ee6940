"""The panels that a picture is put together from: scores, lines, bars, a running total, a matrix.

They know numbers and axes, and nothing of models. Colours are named by what they mean (look.py).
"""

from collections.abc import Mapping, Sequence

from models.grids import Axis, Grid
from models.look import ABOVE, BELOW, GROUND, INK, LABELS, LINES, QUIET, WEIGHT, Spec

Range = tuple[float, float]

MOST_SCORES = 10
MOST_APART = 64  # as many bars or points stand apart, more of them touch
CELL_PIXELS = (6, 24)  # least and greatest height of a matrix's row
MATRIX_PIXELS = (48, 320)
OVERLAP_PIXELS = 0.4
LEGEND: Spec = {"format": ".3~g", "tickCount": 3}


def scores(shares: Mapping[str, float], predicted: str, width: int) -> Spec:
    """Each label's score as a bar under its name, in the order given; of many labels those with the highest scores."""
    labels = list(shares)
    if len(labels) > MOST_SCORES:
        labels = sorted(labels, key=lambda label: -shares[label])[:MOST_SCORES]
    rows = [{"label": label, "score": shares[label], "predicted": label == predicted} for label in labels]
    colour = {"condition": {"test": "datum.predicted", "value": INK}, "value": QUIET}
    text: Spec = {"type": "text", "baseline": "middle", "fontSize": 12}
    scale = {"domain": [0, 1], "range": [0, width - LABELS]}
    bar = {"field": "score", "type": "quantitative", "scale": scale, "axis": None}
    return {
        "data": {"values": rows},
        "width": width,
        "height": {"step": 20},
        "encoding": {"y": {"field": "label", "type": "nominal", "sort": None, "axis": None}},
        "layer": [
            {"mark": {"type": "bar", "color": WEIGHT, "opacity": 0.35}, "encoding": {"x": bar}},
            {
                "mark": {**text, "align": "left", "limit": width - LABELS - 12},
                "encoding": {"x": {"value": 6}, "text": {"field": "label"}, "color": colour},
            },
            {
                "mark": {**text, "align": "right"},
                "encoding": {
                    "x": {"value": width},
                    "text": {"field": "score", "type": "quantitative", "format": ".4f"},
                    "color": colour,
                },
            },
        ],
    }


def lines(series: Grid, width: int) -> Spec:
    """A line for each place of the y axis, told apart by colour as far as colours go."""
    kind, along = series.axes
    colour: Spec = {"color": {"value": QUIET}, "opacity": {"value": 0.4}, "detail": {"field": "y", "type": "nominal"}}
    if kind.length <= len(LINES):
        scale = {"domain": list(kind.starts), "range": LINES[: kind.length]}
        legend = {"title": kind.name, "symbolType": "stroke"} if kind.length > 1 else None
        colour = {"color": {"field": "y", "type": "nominal", "scale": scale, "legend": legend}}
    return {
        "data": {"values": series.rows()},
        "width": width - LABELS,
        "height": 120,
        "mark": {"type": "line", "strokeWidth": 1.5, "point": {"size": 16} if along.length <= MOST_APART else False},
        "encoding": {
            "x": {"field": "x", **_along(along)},
            "y": {"field": "value", **_upright()},
            **colour,
        },
    }


def bars(weights: Grid, measure: str, domain: Range | None, width: int) -> Spec:
    """A bar for each place of the axis, from zero; what is below zero has the colour of that. Without a domain they may
    have either sign, and the scale holds them whatever they are."""
    axis = weights.x
    plot = width - LABELS
    is_signed = domain is None or domain[0] < 0
    return {
        "data": {"values": weights.rows()},
        "width": plot,
        "height": 90,
        "transform": edges("x", axis, gap=0.1 if len(axis.starts) <= MOST_APART else _overlap(axis, plot)),
        "mark": {"type": "rect", "clip": True},
        "encoding": {
            "x": {"field": "x_from", **_along(axis)},
            "x2": {"field": "x_to"},
            "y": {"field": "value", **_upright(), "scale": {"domain": list(domain), "nice": False} if domain else {}},
            "y2": {"datum": 0},
            "color": {
                "condition": {"test": "datum.value < 0", "value": BELOW},
                "value": ABOVE if is_signed else WEIGHT,
            },
            "tooltip": tooltip(weights.axes, measure),
        },
    }


def running_total(shares: Grid, start: float, width: int) -> Spec:
    """The line that begins at `start` and rises by each share in turn."""
    axis = shares.x
    totals = [{"x": -0.5, "total": start}]
    for place, value in zip(axis.starts, shares.values.tolist(), strict=True):
        totals.append({"x": min(place + axis.step, axis.length) - 0.5, "total": totals[-1]["total"] + value})
    return {
        "width": width - LABELS,
        "height": 70,
        "encoding": {"x": {"field": "x", **_along(axis)}, "y": {"field": "total", **_upright()}},
        "layer": [
            {"data": {"values": totals}, "mark": {"type": "line", "color": INK, "strokeWidth": 1.5}},
            {
                "data": {"values": [totals[0], totals[-1]]},
                "mark": {"type": "circle", "color": INK, "size": 36, "opacity": 1},
            },
        ],
    }


def matrix(weights: Grid, measure: str, domain: Range, width: int) -> Spec:
    """A cell for each place of two axes, the first from top to bottom."""
    down, along = weights.axes
    rows, columns = weights.values.shape
    plot = width - LABELS
    cell = min(max(plot / columns, CELL_PIXELS[0]), CELL_PIXELS[1])
    height = round(min(max(rows * cell, MATRIX_PIXELS[0]), MATRIX_PIXELS[1]))
    low, high = domain
    scale: Spec = {"domain": [low, high], "range": [GROUND, WEIGHT], "interpolate": "rgb"}
    if low < 0:
        scale = scale | {"domain": [low, 0, high], "range": [BELOW, GROUND, ABOVE]}
    y = {"field": "y_from", **_along(down), "title": None}
    y["scale"], y["axis"] = y["scale"] | {"reverse": True}, y["axis"] | {"orient": "right"}
    return {
        "data": {"values": weights.rows()},
        "width": plot,
        "height": height,
        "transform": [
            *edges("x", along, gap=_overlap(along, plot)),
            *edges("y", down, gap=_overlap(down, height)),
        ],
        "mark": {"type": "rect", "aria": False, "clip": True},
        "encoding": {
            "x": {"field": "x_from", **_along(along)},
            "x2": {"field": "x_to"},
            "y": y,
            "y2": {"field": "y_to"},
            "color": {"field": "value", "type": "quantitative", "title": None, "scale": scale, "legend": LEGEND},
            "tooltip": tooltip(weights.axes, measure),
        },
    }


def edges(channel: str, axis: Axis, start: float = -0.5, size: float = 1, gap: float = 0) -> list[Spec]:
    """Where each cell begins and ends: the first position at `start`, every position `size` wide."""
    last = f"min(datum.{channel} + {axis.step}, {axis.length})"
    return [
        {"calculate": f"{start} + {size} * (datum.{channel} + {gap})", "as": f"{channel}_from"},
        {"calculate": f"{start} + {size} * ({last} - {gap})", "as": f"{channel}_to"},
    ]


def tooltip(axes: Sequence[Axis], measure: str) -> list[Spec]:
    """What is told of a cell where a viewer points at it."""
    places = [{"field": channel, "title": axis.name} for channel, axis in zip("xy", reversed(axes), strict=False)]
    return [*places, {"field": "value", "type": "quantitative", "title": measure, "format": ".4~g"}]


def _along(axis: Axis) -> Spec:
    return {
        "type": "quantitative",
        "title": axis.name,
        "scale": {"domain": _span(axis), "nice": False, "zero": False},
        # Positions are whole numbers, and a single one would get halves beside it.
        "axis": {"tickMinStep": 1, "format": "d", "zindex": 1, **({"values": [0]} if axis.length == 1 else {})},
    }


def _upright() -> Spec:
    return {
        "type": "quantitative",
        "title": None,
        "axis": {
            "orient": "right",
            "tickCount": 4,
            "labelExpr": "format(datum.value, '.4~g')",
            "grid": True,
            "gridColor": QUIET,
            "gridOpacity": {"condition": {"test": "datum.value === 0", "value": 0.5}, "value": 0},
        },
    }


def _span(axis: Axis) -> list[float]:
    return [-0.5, axis.length - 0.5]


def _overlap(axis: Axis, pixels: int) -> float:
    """Of neighbours that touch: between edges that only meet, a renderer lets the ground shine through."""
    return -OVERLAP_PIXELS * axis.length / pixels
