"""How pictures look: one typeface, the colours of Okabe and Ito on a light or a dark ground.

The colours are parameters of the specification: a viewer may exchange them while the picture is shown.
"""

from dataclasses import asdict, dataclass
from typing import Any

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
TYPEFACE = "Helvetica, Arial, Liberation Sans, sans-serif"

# M. Okabe and K. Ito, Color Universal Design, 2008: told apart by every kind of colour vision.
ORANGE, SKY_BLUE, GREEN, BLUE, VERMILLION, PURPLE = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"

# Pixels around a picture, between two panels, and for the labels at the right of one. All panels begin at the left:
# those below one another share their horizontal axis.
PADDING, GAP, LABELS = 16, 24, 44
OVERHANG = 6  # frames, points and the last letter of a label reach a little over the edge of their panel


@dataclass(frozen=True)
class Look:
    """Colours by what they mean. `above` and `below` zero: the ends of the scale for what may be negative; `weight`: of
    the one for what may not; `lines`: the features of a series."""

    ground: str
    ink: str
    quiet: str
    above: str
    below: str
    weight: str
    lines: tuple[str, ...]


LIGHT = Look(
    ground="#ffffff",
    ink="#1f2328",
    quiet="#656d76",
    above=VERMILLION,
    below=BLUE,
    weight=GREEN,
    lines=("#656d76", PURPLE, ORANGE, SKY_BLUE, GREEN, BLUE, VERMILLION),
)
DARK = Look(
    ground="#16191d",
    ink="#e6e8ea",
    quiet="#9aa2aa",
    above=ORANGE,
    below=SKY_BLUE,
    weight=GREEN,
    lines=("#9aa2aa", PURPLE, ORANGE, SKY_BLUE, GREEN, BLUE, VERMILLION),
)

# What the panels say instead of a colour.
GROUND, INK, QUIET, ABOVE, BELOW, WEIGHT = (
    {"expr": name} for name in ("ground", "ink", "quiet", "above", "below", "weight")
)
LINES = [{"expr": f"lines[{number}]"} for number in range(len(LIGHT.lines))]

CONFIG: Spec = {
    "font": TYPEFACE,
    "background": GROUND,
    "padding": PADDING,
    "view": {"stroke": None},
    "concat": {"spacing": GAP},
    "title": {
        "anchor": "start",
        "frame": "group",
        "color": INK,
        "fontSize": 13,
        "fontWeight": 600,
        "offset": 8,
        "subtitleColor": QUIET,
        "subtitleFontSize": 11,
        "subtitlePadding": 4,
    },
    "axis": {
        "grid": False,
        "domainColor": QUIET,
        "tickColor": QUIET,
        "tickSize": 4,
        "labelColor": QUIET,
        "labelFontSize": 11,
        "titleColor": QUIET,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
    "axisRight": {"minExtent": LABELS, "maxExtent": LABELS},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "titleOrient": "left",
        "labelColor": QUIET,
        "labelFontSize": 11,
        "titleColor": QUIET,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "gradientLength": 120,
        "gradientThickness": 8,
        "offset": 6,
    },
}


def document(spec: Spec, look: Look = LIGHT) -> Spec:
    """A specification that stands alone: with its schema, its colours and the house's looks."""
    params = [{"name": name, "value": value} for name, value in asdict(look).items()]
    return {"$schema": SCHEMA, "params": params, "config": CONFIG, **spec}
