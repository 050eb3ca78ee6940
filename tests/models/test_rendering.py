"""Every picture is valid Vega-Lite 5, and a real renderer draws it in the right size and the right way round."""

import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft7Validator
from numpy.typing import NDArray
from PIL import Image

from models.look import DARK, LIGHT, Look, document
from models.pictures import picture
from models.rendering import MOST_SCALE, png, svg
from tests.models.answers import about_image, answer, contributions, entry, png_of, softmaxed

ROOT = Path(__file__).parent.parent.parent

RANDOM = np.random.default_rng(5)
SEQUENCE = RANDOM.normal(size=(10, 2)).tolist()
GATES = [
    entry("channel", ["channel"], RANDOM.uniform(-0.375, 4, 24), name=f"gates_{block}", range=[-0.375, None])
    for block in range(3)
]
ANSWERS: dict[str, tuple[dict[str, Any], Any]] = {
    "summary": (
        answer(
            [entry("temporal", ["time"], softmaxed((10,), 0), sums_to_one_over="time", averaged_over=["unit"])],
            contributions(["time"], RANDOM.normal(size=10)),
        ),
        SEQUENCE,
    ),
    "full": (
        answer(
            [entry("temporal", ["time", "unit"], softmaxed((10, 32), 0), sums_to_one_over="time")],
            contributions(["time", "unit"], RANDOM.normal(size=(10, 32))),
        ),
        SEQUENCE,
    ),
    "long": (
        answer(
            [entry("temporal", ["time", "unit"], softmaxed((500, 64), 0), sums_to_one_over="time")],
            contributions(["time"], RANDOM.normal(size=500)),
        ),
        RANDOM.normal(size=(500, 12)).tolist(),
    ),
    "one step": (answer([entry("temporal", ["time"], np.ones(1))], contributions(["time"], np.ones(1))), [3.0]),
    "alignment": (answer([entry("alignment", ["target", "source"], softmaxed((5, 7), 1))]), SEQUENCE),
    "image": (
        answer(GATES, contributions(["row", "column"], RANDOM.normal(size=(5, 5))), image=about_image(40, 40)),
        png_of(40, 40),
    ),
    "maps": (
        answer(
            [entry("spatial", ["row", "column"], softmaxed((4, 4), 1), name=name) for name in ("first", "second")],
            image=about_image(60, 30, (0, -15, 60, 45)),
        ),
        png_of(60, 30),
    ),
    "prediction": (answer(image=about_image(1000, 3)), png_of(1000, 3)),
}


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    """Of the JSON schema of Vega-Lite 5, which altair brings; nothing of altair runs."""
    path = distribution("altair").locate_file("altair/vegalite/v5/schema/vega-lite-schema.json")
    return Draft7Validator(json.loads(Path(str(path)).read_text()))


@pytest.mark.parametrize("name", ANSWERS)
def test_every_picture_is_valid_vega_lite(validator: Draft7Validator, name: str) -> None:
    """A program that was sent one may hold it against the schema."""
    for look, width in ((LIGHT, 640), (DARK, 320)):
        spec = picture(*ANSWERS[name], look=look, width=width)

        validator.validate(json.loads(json.dumps(spec, allow_nan=False)))


@pytest.mark.parametrize("width", [320, 640])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_picture_is_as_wide_as_it_was_asked_for(name: str, width: int) -> None:
    """Never wider: what holds it has that much room."""
    spec = picture(*ANSWERS[name], width=width)

    with Image.open(io.BytesIO(png(spec, scale=1))) as drawn:
        assert drawn.format == "PNG"
        assert width - 10 <= drawn.width <= width
        assert drawn.height > 100


def test_an_svg_is_xml_of_the_pngs_size() -> None:
    """Both come from the same drawing; a scale of two has twice the pixels each way."""
    spec = picture(*ANSWERS["image"])

    drawing = ElementTree.fromstring(svg(spec))

    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    with Image.open(io.BytesIO(png(spec, scale=2))) as drawn:
        assert drawn.width == pytest.approx(2 * float(drawing.attrib["width"]), abs=1)
        assert drawn.height == pytest.approx(2 * float(drawing.attrib["height"]), abs=1)


@pytest.mark.parametrize("scale", [0, -1, MOST_SCALE + 0.5, float("nan")])
def test_a_scale_out_of_bounds_is_refused(scale: float) -> None:
    """A picture costs memory by the square of its scale."""
    with pytest.raises(ValueError, match="scale of a picture"):
        png(picture(*ANSWERS["prediction"]), scale)


def test_a_picture_of_too_many_pixels_is_refused() -> None:
    """A model with thousands of blocks has a very long picture."""
    tall = document({"width": 1000, "height": 50_000, "data": {"values": [{}]}, "mark": "point"})

    with pytest.raises(ValueError, match="has more than 32,000,000"):
        png(tall)


def test_a_specification_that_would_load_something_is_not_drawn() -> None:
    """Nothing is asked of another host, whatever the specification says."""
    loading = document({"data": {"url": "https://example.org/data.json"}, "mark": "point"})

    with pytest.raises(ValueError, match=r"example\.org"):
        svg(loading)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/a.png", "file:///etc/hostname", "data:image/svg+xml;base64,PHN2Zy8+"]
)
def test_a_picture_that_would_be_loaded_is_not_drawn(url: str) -> None:
    """The renderer's own list of allowed addresses does not hold for pictures."""
    mark = {"type": "image", "width": 9, "height": 9}
    loading = document({"data": {"values": [{"url": url}]}, "mark": mark, "encoding": {"url": {"field": "url"}}})

    for draw in (svg, png):
        with pytest.raises(ValueError, match="would load a picture from"):
            draw(loading)


def test_without_the_renderer_the_message_says_what_to_install(tmp_path: Path) -> None:
    """A lean image leaves it out; specifications are made there all the same."""
    (tmp_path / "vl_convert.py").write_text("raise ModuleNotFoundError('No module named vl_convert')")
    code = "from models.rendering import svg; svg({})"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )

    assert "RendererMissingError: a picture as SVG or PNG needs vl-convert" in done.stderr


def _pixels(spec: dict[str, Any]) -> NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(png(spec, scale=1))).convert("RGB")).astype(np.int64)


def _where(pixels: NDArray[np.int64], colour: str, tolerance: int = 40) -> NDArray[np.int64]:
    """(row, column) of the pixels that have the colour, nearly."""
    rgb = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return np.argwhere(abs(pixels - rgb).sum(axis=2) < tolerance)


@pytest.mark.parametrize("look", [LIGHT, DARK])
@pytest.mark.parametrize("row", [0, 2])
def test_a_map_lies_over_its_region(look: Look, row: int) -> None:
    """The one cell that contributes is drawn where the region puts it, on a wide picture or in the padding above it;
    the picture shows through all others."""
    values = np.zeros((4, 4))
    values[row, 3] = 1.0  # of a region of 80 × 80 around a picture of 80 × 40
    told = answer([], contributions(["row", "column"], values), image=about_image(80, 40, (0, -20, 80, 60)))

    pixels = _pixels(picture(told, png_of(80, 40, 200), look=look, width=320))

    grey = _where(pixels, "#c8c8c8", 10)
    rows = np.flatnonzero(np.bincount(grey[:, 0]) > 150)
    top, bottom = rows[0], rows[np.flatnonzero(np.diff(rows) > 1)[0]] + 1  # the upper picture, which has the map
    across = grey[grey[:, 0] == top + 1, 1]
    left, right = across.min(), across.max() + 1
    scale = (right - left) / 80
    hero = pixels[: bottom + round(20 * scale)]
    coloured = np.argwhere(hero[:, :, 0] - hero[:, :, 2] > 100) + 0.5
    y, x = coloured.mean(axis=0)
    assert (bottom - top) / scale == pytest.approx(40, abs=0.5)
    assert (x - left) / scale == pytest.approx(70, abs=0.5)
    assert (y - (top + bottom) / 2) / scale == pytest.approx(20 * row + 10 - 40, abs=0.5)
    assert len(coloured) / scale**2 == pytest.approx(400, rel=0.05)


def test_gates_below_zero_hang_below_the_line() -> None:
    """Blue below, orange above, each as long as its gate."""
    told = entry("channel", ["channel"], np.array([0.5, -0.25]), range=[-0.375, None])

    pixels = _pixels(picture(answer([told], image=about_image(8, 8)), png_of(8, 8)))

    above, below = _where(pixels, LIGHT.above), _where(pixels, LIGHT.below)
    assert len(below) / len(above) == pytest.approx(0.5, rel=0.05)
    assert below[:, 0].min() >= above[:, 0].max()
    assert below[:, 1].min() > above[:, 1].max()


def test_bars_are_as_tall_as_their_weights() -> None:
    """From zero, so that the area says the same."""
    told = entry("temporal", ["time"], np.array([0.1, 0.6, 0.3]), sums_to_one_over="time")

    pixels = _pixels(picture(answer([told]), SEQUENCE[:3]))

    columns = np.bincount(_where(pixels, LIGHT.weight)[:, 1])
    starts = np.flatnonzero(np.diff(columns, prepend=0) > 5)
    heights = columns[starts + 5]
    assert len(heights) == 3
    assert heights[0] / heights[1] == pytest.approx(0.1 / 0.6, abs=0.02)
    assert heights[2] / heights[1] == pytest.approx(0.3 / 0.6, abs=0.02)
