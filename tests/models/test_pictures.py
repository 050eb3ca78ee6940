"""A picture's numbers are the answer's, in the right place, under words that say what was measured."""

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from models.look import DARK, LIGHT
from models.pictures import picture
from tests.models.answers import (
    about_image,
    answer,
    contributions,
    entry,
    parts,
    png_of,
    records,
    softmaxed,
    titled,
    told_by,
)

STEPS = 10
SEQUENCE = np.random.default_rng(1).normal(size=(STEPS, 2)).tolist()


def _summary(**members: Any) -> dict[str, Any]:
    weights = softmaxed((STEPS,), 0)
    return entry("temporal", ["time"], weights, sums_to_one_over="time", averaged_over=["unit"], **members)


def test_a_series_is_drawn_as_it_was_given() -> None:
    """Each feature is a line through its own values."""
    spec = picture(answer(), SEQUENCE)

    drawn = {(record["x"], record["y"]): record["value"] for record in records(titled(spec, "Input"))}

    assert drawn == {(step, feature): SEQUENCE[step][feature] for step in range(STEPS) for feature in range(2)}


def test_a_flat_list_is_a_series_of_one_feature() -> None:
    """As the route takes it; one line needs no legend."""
    spec = picture(answer(), [3.0, 1.0, 2.0])

    panel = titled(spec, "Input")
    assert [record["value"] for record in records(panel)] == [3.0, 1.0, 2.0]
    assert told_by(panel) == "1 feature by time."
    assert panel["encoding"]["color"]["legend"] is None


def test_a_summary_is_a_bar_for_each_step() -> None:
    """The bars are the weights; the words say what was averaged and over what they sum to one."""
    told = _summary()

    panel = titled(picture(answer([told]), SEQUENCE), "Attention")

    assert [(record["x"], record["value"]) for record in records(panel)] == list(enumerate(told["weights"]))
    assert told_by(panel) == "Attention weight by time, averaged over unit, summing to 1 over time."


def test_full_attention_is_a_cell_for_each_step_and_unit() -> None:
    """Steps from left to right, units from top to bottom."""
    weights = softmaxed((STEPS, 32), 0)
    told = entry("temporal", ["time", "unit"], weights, sums_to_one_over="time")

    panel = titled(picture(answer([told]), SEQUENCE), "Attention")

    drawn = {(record["x"], record["y"]): record["value"] for record in records(panel)}
    assert drawn == {(step, unit): weights[step, unit] for step in range(STEPS) for unit in range(32)}
    assert told_by(panel).startswith("Attention weight by time (across) and unit (down), summing to 1 over time.")


def test_contributions_add_up_to_the_logit_before_the_readers_eyes() -> None:
    """A signed bar for each step; the line begins at the bias and ends at the logit, and the sum is written out."""
    values = np.array([-0.5, 0.25, 4.0, 1.5])
    told = contributions(["time"], values, bias=-0.25)

    spec = picture(answer([], told), SEQUENCE[:4])

    panel, line = titled(spec, "Contributions to the logit of 1"), titled(spec, "Running total")
    assert [record["value"] for record in records(panel)] == values.tolist()
    totals = records(line, "total")
    assert [total["total"] for total in totals] == [-0.25, -0.75, -0.5, 3.5, 5.0]
    assert [total["x"] for total in totals] == [-0.5, 0.5, 1.5, 2.5, 3.5]
    assert "Bias −0.250 + shares 5.250 = logit 5.000." in told_by(panel)
    assert "has seen the earlier steps too" in told_by(panel)
    assert told_by(line) == "From the bias −0.250 to the logit 5.000."


def test_shares_of_an_axis_that_is_not_drawn_are_added() -> None:
    """A mean would not add up to the logit."""
    values = np.random.default_rng(2).normal(size=(3, 5, 5))
    told = contributions(["channel", "row", "column"], values)

    spec = picture(answer([], told, image=about_image(5, 5)), png_of(5, 5))

    cells = records(titled(spec, "Contributions to the logit of 1"))
    assert {(cell["y"], cell["x"]): pytest.approx(cell["value"]) for cell in cells} == {
        (row, column): values[:, row, column].sum() for row in range(5) for column in range(5)
    }
    assert told["bias"] + math.fsum(cell["value"] for cell in cells) == pytest.approx(values.sum() - 0.25)


def test_contributions_over_two_axes_are_a_matrix() -> None:
    """Neither a map nor bars: the sum is written out all the same."""
    values = np.random.default_rng(3).normal(size=(STEPS, 4))

    spec = picture(answer([], contributions(["time", "unit"], values)), SEQUENCE)

    panel = titled(spec, "Contributions to the logit of 1")

    drawn = {(record["x"], record["y"]): record["value"] for record in records(panel)}
    assert drawn == {(step, unit): values[step, unit] for step in range(STEPS) for unit in range(4)}
    low, zero, high = panel["encoding"]["color"]["scale"]["domain"]
    assert (-low, zero, high) == (abs(values).max(), 0, abs(values).max())
    assert re.search(r"Bias −0\.250 \+ shares .+ = logit ", told_by(panel))


@pytest.mark.parametrize(
    ("axes", "drawn", "words"),
    [
        (
            ["target", "source"],
            ("target", "source"),
            "Attention weight by source (across) and target (down), summing to 1 over source",
        ),
        (["head", "target", "source"], ("target", "source"), "(down), averaged over head"),
        (["source"], ("source",), "Attention weight by source, averaged over target"),
    ],
)
def test_an_alignment_is_a_matrix(axes: list[str], drawn: tuple[str, ...], words: str) -> None:
    """The last axis from left to right, the one before from top to bottom, any other averaged and named."""
    sizes = {"head": 2, "target": 4, "source": 6}
    weights = softmaxed([sizes[axis] for axis in axes], -1)
    averaged = ["target"] if axes == ["source"] else []
    told = entry("alignment", axes, weights, sums_to_one_over="source", averaged_over=averaged)

    panel = titled(picture(answer([told]), SEQUENCE), "Attention")

    expected = weights.mean(axis=tuple(number for number, axis in enumerate(axes) if axis not in drawn))
    assert [record["value"] for record in records(panel)] == pytest.approx(expected.ravel().tolist())
    assert words in told_by(panel)


def test_gates_that_are_all_zero_have_a_scale_all_the_same() -> None:
    """Nothing to see is no reason to fail."""
    told = entry("channel", ["channel"], np.zeros(4), range=[0, None])

    panel = titled(picture(answer([told]), SEQUENCE), "Attention")

    assert panel["encoding"]["y"]["scale"]["domain"] == [0, 1]


def test_a_long_series_is_drawn_in_cells_that_say_what_they_hold() -> None:
    """100,000 steps and 64 units stay a picture: weights that sum to one still do, and so do shares of the logit."""
    steps = 100_000
    weights = softmaxed((steps,), 0)
    full = entry("temporal", ["time", "unit"], softmaxed((1_000, 64), 0), name="full", sums_to_one_over="time")
    told = contributions(["time"], np.random.default_rng(4).normal(size=steps))
    summary = entry("temporal", ["time"], weights, sums_to_one_over="time")

    spec = picture(answer([summary, full], told), np.zeros(steps).tolist())

    bars, matrix = records(titled(spec, "Attention")), records(titled(spec, "Full"))
    shares = records(titled(spec, "Contributions to the logit of 1"))
    totals = records(titled(spec, "Running total"), "total")
    assert max(len(bars), len(shares), len(records(titled(spec, "Input")))) <= 512
    assert math.fsum(bar["value"] for bar in bars) == pytest.approx(1)
    assert totals[-1]["total"] == pytest.approx(math.fsum(told["values"]) + told["bias"])
    assert len(matrix) == 125 * 64
    assert "Drawn: the sum of every 8 neighbours along time." in told_by(titled(spec, "Full"))
    assert "Drawn: the sum of every 196 neighbours along time." in told_by(titled(spec, "Attention"))
    assert told_by(titled(spec, "Input")) == "1 feature by time. Drawn: the mean of every 196 neighbours along time."


def test_five_hundred_steps_are_drawn_one_by_one() -> None:
    """A bar may be narrow."""
    told = entry("temporal", ["time"], softmaxed((500,), 0), sums_to_one_over="time")

    panel = titled(picture(answer([told]), np.zeros((500, 2)).tolist()), "Attention")

    assert [record["value"] for record in records(panel)] == told["weights"]


def test_of_many_labels_the_likeliest_are_shown() -> None:
    """Ten, in the order of their scores; fewer stay in the model's order."""
    scores = {f"label {number}": number / 4950 for number in range(100)}
    told = answer() | {"prediction": {"label": "label 99", "score": 0.02, "scores": scores}}

    rows = records(picture(told, SEQUENCE), "score")

    assert [row["label"] for row in rows] == [f"label {number}" for number in range(99, 89, -1)]
    assert [row["score"] for row in rows] == [scores[row["label"]] for row in rows]
    assert [row["predicted"] for row in rows] == [True] + [False] * 9
    assert [row["label"] for row in records(picture(answer(), SEQUENCE), "score")] == ["0", "1"]


def test_of_many_features_the_first_are_shown() -> None:
    """More lines than colours have no legend; more than can be drawn are left out, and it says so."""
    panel = titled(picture(answer(), np.zeros((3, 1000)).tolist()), "Input")

    assert {record["y"] for record in records(panel)} == set(range(64))
    assert told_by(panel) == "1000 features by time. Drawn: the first 64."
    assert "legend" not in panel["encoding"]["color"]


def test_without_attention_there_are_the_input_and_the_scores() -> None:
    """`attention=none` has a picture too."""
    series = picture(answer(), SEQUENCE)
    image = picture(answer(image=about_image(8, 8)), png_of(8, 8))

    for spec in (series, image):
        titles = [" ".join(part["title"]["text"]) for part in parts(spec) if "title" in part]
        assert titles == ["Predicted: 1", "Input"]
        assert len(records(spec, "score")) == 2


def test_the_title_says_what_was_predicted_and_by_whom() -> None:
    """And nothing of why."""
    spec = picture(answer(), SEQUENCE)

    assert spec["title"]["text"] == ["Predicted: 1"]
    assert told_by(spec) == "Score 0.7500; model imagined, version 3."
    assert spec["description"] == "Predicted: 1. Score 0.7500; model imagined, version 3."


def test_the_answer_goes_along() -> None:
    """Who shows the picture has its numbers too, as they were answered."""
    told = answer([_summary()])

    assert picture(told, SEQUENCE)["usermeta"] == {"answer": told}


def test_light_and_dark_differ_in_their_colours_alone() -> None:
    """A viewer may exchange the colours of a picture that it shows."""
    light, dark = (picture(answer([_summary()]), SEQUENCE, look=look) for look in (LIGHT, DARK))

    assert light.pop("params") != dark.pop("params")
    assert light == dark


@pytest.mark.parametrize("width", [0, 239, 1601])
def test_a_width_out_of_bounds_is_refused(width: int) -> None:
    """The message says what may be asked for."""
    with pytest.raises(ValueError, match=f"240 to 1600 pixels wide, not {width}"):
        picture(answer(), SEQUENCE, width=width)


def test_a_narrow_picture_has_nothing_side_by_side() -> None:
    """On a phone one panel follows the other."""
    told = answer([entry("channel", ["channel"], np.ones(4))], image=about_image(8, 8))

    spec = picture(told, png_of(8, 8), width=320)

    assert not any("hconcat" in part for part in parts(spec))
    assert all(part.get("columns", 1) == 1 for part in parts(spec))


def _expressions(spec: object) -> Iterator[str]:
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name in ("calculate", "test", "expr", "filter", "labelExpr"):
                yield value
            yield from _expressions(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _expressions(value)


def test_names_from_a_model_never_become_code() -> None:
    """Names of axes, outputs and labels come from a file: an expression holds fields and numbers alone."""
    evil = "'] + alert(1) + datum['"
    told = entry("temporal", ["time", evil], softmaxed((STEPS, 2), 0), name=evil)
    shares = contributions(["row", "column"], np.ones((2, 2))) | {"label": evil}

    series = picture(answer([told]), SEQUENCE)
    image = picture(answer([told], shares, image=about_image(8, 8, (-1.5e-7, -3, 8, 11))), png_of(8, 8))

    words = r"datum\.\w+|min|format|'\.4~g'|ground|ink|quiet|above|below|weight|lines\[\d\]|'\w\w'"
    simple = re.compile(rf"({words}|[\d.]+(e-?\d+)?|[-+*<=(), ])+")
    for spec in (series, image):
        expressions = list(_expressions(spec))
        assert expressions
        assert [text for text in expressions if not simple.fullmatch(text)] == []
