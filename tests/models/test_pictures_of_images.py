"""A picture of an image's answer: maps lie over the picture, gates show their sign."""

import base64

import numpy as np
import pytest

from models.pictures import picture
from tests.models.answers import (
    about_image,
    answer,
    data_url,
    entry,
    parts,
    png_of,
    records,
    softmaxed,
    titled,
    told_by,
)


@pytest.mark.parametrize("axes", [["row", "column"], ["head", "row", "column"]])
def test_spatial_attention_is_a_map_over_the_picture(axes: list[str]) -> None:
    """One weight for each place; without contributions it is the largest panel."""
    weights = softmaxed([2, 3, 4][-len(axes) :], -1)
    told = entry("spatial", axes, weights, sums_to_one_over="column")

    spec = picture(answer([told], image=about_image(80, 60)), png_of(80, 60))

    panel = titled(spec, "Attention")
    cells = {(cell["y"], cell["x"]): pytest.approx(cell["value"]) for cell in records(panel)}
    expected = weights.reshape(-1, 3, 4).mean(axis=0)
    assert cells == {(row, column): expected[row, column] for row in range(3) for column in range(4)}
    assert panel["width"] == max(part["width"] for part in parts(spec) if "width" in part)
    assert ("averaged over head" in told_by(panel)) == (len(axes) == 3)


@pytest.mark.parametrize(
    ("bounds", "words", "is_signed", "domain"),
    [
        ([0, 1], "Gate by channel, from 0 to 1.", False, (0, 1)),
        ([-0.375, None], "Gate by channel, −0.375 or more. Orange is above zero, blue below.", True, (-0.375, 2.5)),
        ([None, 4], "Gate by channel, 4 or less. Orange is above zero, blue below.", True, (-0.3, 4)),
        ([None, None], "Gate by channel. Orange is above zero, blue below.", True, (-0.3, 2.5)),
    ],
)
def test_gates_show_their_range_and_which_are_below_zero(
    bounds: list[float | None], words: str, is_signed: bool, domain: tuple[float, float]
) -> None:
    """A gate below zero turns the sign of its channel: it is blue and hangs below the line."""
    gates = np.array([0.5, 2.5, -0.3, 0.0] if is_signed else [0.5, 1.0, 0.25, 0.0])
    told = entry("channel", ["channel"], gates, name="gates_2", range=bounds)

    spec = picture(answer([told], image=about_image(8, 8)), png_of(8, 8))

    panel = titled(spec, "Gates 2")
    assert [record["value"] for record in records(panel)] == gates.tolist()
    assert tuple(panel["encoding"]["y"]["scale"]["domain"]) == domain
    assert panel["encoding"]["color"]["condition"] == {"test": "datum.value < 0", "value": {"expr": "below"}}
    assert panel["encoding"]["color"]["value"] == {"expr": "above" if is_signed else "weight"}
    assert told_by(panel) == words


def test_a_picture_is_given_as_bytes_or_as_a_data_url() -> None:
    """Both are the same picture."""
    told, content = answer(image=about_image(8, 8)), png_of(8, 8)

    assert picture(told, content) == picture(told, data_url(content))


@pytest.mark.parametrize(
    "given",
    [
        "",
        "https://example.org/picture.png",
        "file:///etc/hostname",
        "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode(),
        b"GIF89a",
    ],
)
def test_a_picture_that_would_have_to_be_loaded_is_refused(given: str | bytes) -> None:
    """Whoever draws it would ask another host, or read a file."""
    with pytest.raises(ValueError, match="data: URL"):
        picture(answer(image=about_image(8, 8)), given)
