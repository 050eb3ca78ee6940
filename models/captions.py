"""What is written over each panel: what was measured, over which axes, and no more than that."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.grids import Grid
from models.look import Spec
from models.maps import Received

# Pixels of a letter, rather too many: a caption that is broken early is better than one that is cut off.
TITLE_LETTER, SUBTITLE_LETTER = 7.5, 5.4
STEP_SHARES = "A step's share is that of the hidden state there, which has seen the earlier steps too."


def caption(title: str, told: Sequence[str], width: int) -> Spec:
    """A title over sentences, broken to `width` pixels."""
    subtitle = textwrap.wrap(" ".join(told), int(width / SUBTITLE_LETTER))
    return {
        "text": textwrap.wrap(title, int(width / TITLE_LETTER)),
        **({"subtitle": subtitle} if subtitle else {}),
    }


def series_caption(features: int, drawn: Grid) -> tuple[str, list[str]]:
    """How many features the series has, and what is drawn of them."""
    shown = drawn.axes[0].length
    return "Input", [
        f"{features} feature{'s' if features > 1 else ''} by time.",
        *([f"Drawn: the first {shown}."] if features > shown else []),
        *_merged(drawn, []),
    ]


def image_caption(shown: Received) -> tuple[str, list[str]]:
    """The size that was received, and whether the model was given more than that."""
    return "Input", [f"{shown.width} × {shown.height} pixels{', padded' if shown.is_padded else ''}."]


def measure(entry: Mapping[str, Any]) -> str:
    """What an entry of `attention` holds: gates where it is a weight for each channel and no distribution."""
    return "gate" if entry["kind"] == "channel" and entry["sums_to_one_over"] is None else "attention weight"


def attention_caption(entry: Mapping[str, Any], drawn: Grid) -> tuple[str, list[str]]:
    """The entry's own name; its axes, what was averaged, and what the weights may be."""
    names = [axis.name for axis in drawn.axes]
    averaged = [*entry["averaged_over"], *(axis for axis in entry["axes"] if axis not in names)]
    facts = [
        f"{measure(entry)} by {_axes(drawn)}",
        *([f"averaged over {' and '.join(averaged)}"] if averaged else []),
        f"summing to 1 over {entry['sums_to_one_over']}" if entry["sums_to_one_over"] else _range(*entry["range"]),
    ]
    told = [_sentence(", ".join(fact for fact in facts if fact)), *_merged(drawn, [entry["sums_to_one_over"]])]
    low = entry["range"][0]
    if low is None or low < 0:
        told.append("Orange is above zero, blue below.")
    name = entry["name"].replace("_", " ")
    return name[:1].upper() + name[1:], told


def contributions_caption(part: Mapping[str, Any], drawn: Grid) -> tuple[str, list[str]]:
    """Whose logit, and the sum that makes it."""
    total = _total(part)
    names = [axis.name for axis in drawn.axes]
    told = [
        f"Bias {number(part['bias'])} + shares {number(total)} = {part['unit']} {number(part['bias'] + total)}.",
        *([STEP_SHARES] if "time" in names else []),
        f"Orange: for {part['label']}, blue: against.",
        *_merged(drawn, part["axes"]),
    ]
    return f"Contributions to the {part['unit']} of {part['label']}", told


def running_total_caption(part: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Where the running total of the contributions begins and ends."""
    bias = part["bias"]
    return "Running total", [f"From the bias {number(bias)} to the {part['unit']} {number(bias + _total(part))}."]


def number(value: float) -> str:
    """Three decimals, with a minus as long as a plus."""
    return f"{value:.3f}".replace("-", "−")


def _axes(drawn: Grid) -> str:
    if len(drawn.axes) == 1:
        return drawn.x.name
    down, across = (axis.name for axis in drawn.axes)
    return "row and column" if (down, across) == ("row", "column") else f"{across} (across) and {down} (down)"


def _total(part: Mapping[str, Any]) -> float:
    return math.fsum(np.ravel(part["values"]))


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"from {_short(low)} to {_short(high)}"
    if low is not None:
        return f"{_short(low)} or more"
    return f"{_short(high)} or less" if high is not None else ""


def _short(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _merged(drawn: Grid, summed: Sequence[str | None]) -> list[str]:
    return [
        f"Drawn: the {'sum' if axis.name in summed else 'mean'} of every {axis.step} neighbours along {axis.name}."
        for axis in drawn.axes
        if axis.step > 1
    ]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
