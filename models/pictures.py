"""An answer → a picture of it, one Vega-Lite specification: plain data that a page, a report or a renderer draws.

What a kind of attention needs is read from its entry in the answer: no model is known here.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from models.captions import (
    attention_caption,
    caption,
    contributions_caption,
    image_caption,
    measure,
    running_total_caption,
    series_caption,
)
from models.grids import Grid, grid
from models.look import GAP, LIGHT, OVERHANG, PADDING, Look, Spec, document
from models.maps import Received, map_over, photograph
from models.panels import Range, bars, lines, matrix, running_total, scores

Part = Mapping[str, Any]  # an answer, or one of its members
Draw = Callable[[int], Spec]  # from the pixels that it may be wide
Series = Sequence[Sequence[float]] | Sequence[float]

WIDTH, WIDTHS = 640, (240, 1600)
WIDE = 480  # from this width on, what needs little room stands side by side
HERO_SHARE = 0.62  # of a wide picture's width
MOST_BARS, MOST_CELLS = 512, 128  # along an axis
MOST_FEATURES = 64
PLACE = ("row", "column")
ALONG = {"temporal": "time", "channel": "channel"}
APART: Spec = {"resolve": {"scale": {"color": "independent"}}}  # each panel has its own colours and legend
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture(answer: Part, given: Series | str | bytes, *, look: Look = LIGHT, width: int = WIDTH) -> Spec:
    """The picture of one answer to POST /predict/…, as its JSON has it, `width` pixels wide.

    `given`: what was predicted from. A series as (time, feature), or a flat list where there is one feature; an image
    as a `data:` URL or the bytes of a PNG, turned as its EXIF says. Raises ValueError for an image that lies elsewhere,
    and for a width out of WIDTHS.
    """
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise ValueError(f"a picture is {WIDTHS[0]} to {WIDTHS[1]} pixels wide, not {width}")
    inner = width - 2 * PADDING - OVERHANG
    if isinstance(given, str | bytes):
        panels = _of_image(answer, received(answer["image"], given), inner)
    else:
        panels = _of_series(answer, given, inner)
    prediction, model = answer["prediction"], answer["model"]
    title = f"Predicted: {prediction['label']}"
    told = f"Score {prediction['score']:.4f}; model {model['name']}, version {model['version']}."
    heading = {**caption(title, [told], inner), "fontSize": 15, "offset": 14}
    about = {"title": heading, "description": f"{title}. {told}", "usermeta": {"answer": answer}}
    return document({**about, **panels}, look)


def received(image: Part, given: str | bytes) -> Received:
    """The picture that an answer's `image` describes. Raises ValueError where it would have to be loaded."""
    if isinstance(given, bytes):
        if not given.startswith(PNG_SIGNATURE):
            raise ValueError("the bytes of a picture are a PNG's; a picture of another format comes as a data: URL")
        given = f"data:image/png;base64,{base64.b64encode(given).decode()}"
    left, top, right, bottom = image["region"]
    return Received(given, image["width"], image["height"], (left, top, right, bottom))


def contribution_map(part: Part, shown: Received, side: int) -> Spec:
    """Contributions that have rows and columns, over the picture."""
    told = grid(part["values"], part["axes"], PLACE, MOST_CELLS, summed=part["axes"])
    layer = map_over(shown, told, "contribution", told.around_zero)
    return {"title": caption(*contributions_caption(part, told), side), **photograph(shown, side, [layer])}


def _of_series(answer: Part, sequence: Series, width: int) -> Spec:
    """Input, attention and contributions below one another, on the same time."""
    prediction, part = answer["prediction"], answer["contributions"]
    steps = [step if isinstance(step, Sequence) else [step] for step in sequence]
    series = grid([step[:MOST_FEATURES] for step in steps], ("time", "feature"), ("feature", "time"), MOST_BARS)
    return stack(
        [
            scores(prediction["scores"], prediction["label"], width),
            {"title": caption(*series_caption(len(steps[0]), series), width), **lines(series, width)},
            *(_attention(entry, width) for entry in answer["attention"]),
            *([_contributions(part, width)] if part else []),
        ]
    )


def _of_image(answer: Part, shown: Received, width: int) -> Spec:
    """The picture under its first map as the hero, contributions before attention; beside it the picture as it was and
    the scores; everything else below."""
    prediction, part = answer["prediction"], answer["contributions"]
    is_wide = width >= WIDE
    side = round(width * HERO_SHARE) if is_wide else width
    rest = width - side - GAP if is_wide else width
    maps: list[Draw] = [partial(_attention_map, entry, shown) for entry in answer["attention"] if _is_map(entry)]
    others: list[Draw] = [partial(_attention, entry) for entry in answer["attention"] if not _is_map(entry)]
    if part and _is_map(part):
        maps.insert(0, partial(contribution_map, part, shown))
    elif part:
        others.append(partial(_contributions, part))
    hero, *more = maps or [partial(_input, shown)]
    beside = [*([_input(shown, rest)] if maps else []), scores(prediction["scores"], prediction["label"], rest)]
    panels = [draw((width - GAP) // 2 if is_wide else width) for draw in (*more, *others)]
    first = [{"hconcat": [hero(side), stack(beside)], **APART}] if is_wide else [hero(side), *reversed(beside)]
    return stack([*first, *([{"concat": panels, "columns": 2 if is_wide else 1, **APART}] if panels else [])])


def stack(panels: Sequence[Spec]) -> Spec:
    """One below the other, all beginning at the left."""
    return {"vconcat": panels, **APART}


def _is_map(part: Part) -> bool:
    return set(PLACE) <= set(part["axes"])


def _input(shown: Received, side: int) -> Spec:
    return {"title": caption(*image_caption(shown), side), **photograph(shown, side)}


def _attention(entry: Part, width: int) -> Spec:
    """An entry of `attention` as bars, or as a matrix where two of its axes are left."""
    shown = _shown(entry["axes"], ALONG.get(entry["kind"]))
    weights = _weights(entry, shown, MOST_BARS if len(shown) == 1 else MOST_CELLS)
    draw = bars if len(shown) == 1 else matrix
    title = caption(*attention_caption(entry, weights), width)
    return {"title": title, **draw(weights, measure(entry), _domain(entry, weights), width)}


def _attention_map(entry: Part, shown: Received, side: int) -> Spec:
    weights = _weights(entry, PLACE, MOST_CELLS)
    layer = map_over(shown, weights, measure(entry), _domain(entry, weights))
    return {"title": caption(*attention_caption(entry, weights), side), **photograph(shown, side, [layer])}


def _contributions(part: Part, width: int) -> Spec:
    """Contributions as bars over their running total, or as a matrix where they have two axes."""
    shown = _shown(part["axes"], "time")
    told = grid(part["values"], part["axes"], shown, MOST_BARS if len(shown) == 1 else MOST_CELLS, summed=part["axes"])
    title = caption(*contributions_caption(part, told), width)
    if len(shown) == 2:
        return {"title": title, **matrix(told, "contribution", told.around_zero, width)}
    total = {"title": caption(*running_total_caption(part), width), **running_total(told, part["bias"], width)}
    return {"title": title, **stack([bars(told, "contribution", None, width), total])}


def _shown(axes: Sequence[str], along: str | None) -> tuple[str, ...]:
    """The axes that are drawn, (x,) or (y, x): `along` from left to right where there is one, else the last."""
    x = along if along is not None and along in axes else axes[-1]
    return (*[axis for axis in axes if axis != x][-1:], x)


def _weights(entry: Part, shown: Sequence[str], most: int) -> Grid:
    return grid(entry["weights"], entry["axes"], shown, most, summed=[entry["sums_to_one_over"]])


def _domain(entry: Part, weights: Grid) -> Range:
    """The range that the entry states, zero within; to the largest weight where an end is open or a sum bounds it."""
    low, high = entry["range"]
    least, greatest = float(weights.values.min()), float(weights.values.max())
    if high is None or entry["sums_to_one_over"] is not None:
        high = greatest
    low, high = min(least if low is None else low, 0.0), max(high, greatest)
    return (low, high) if high > low else (low, low + 1)
