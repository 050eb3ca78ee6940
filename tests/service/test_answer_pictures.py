"""An answer as SVG, PNG or Vega-Lite: of the real service, drawn by the real renderer."""

import asyncio
import base64
import io
import json
import os
import signal
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from models.look import DARK, LIGHT, Look
from models.pictures import picture
from service.settings import Settings
from tests.service.client import Client, problem, running
from tests.service.conftest import SERIES
from tests.service.picture_files import noise, saved
from tests.service.test_drawing import drawing_processes, until

SVG, PNG, VEGA_LITE = "image/svg+xml", "image/png", "application/vnd.vegalite.v5+json"
BODIES: dict[str, Any] = {
    "/predict/timeseries": {"json": {"sequence": SERIES}},
    "/predict/image": {"content": saved(Image.fromarray(noise(8, 8)))},
}
EVERY = ["/predict/timeseries", "/predict/image", "/predict/image?model=colour"]


def asked(client: Client, path: str, accept: str) -> Any:
    """The answer in that media type."""
    return client.post(path, headers={"Accept": accept}, **BODIES[path.partition("?")[0]])


def as_read(spec: Any) -> Any:
    """As a client reads it: tuples are lists."""
    return json.loads(json.dumps(spec))


def shown(spec: Any) -> Image.Image:
    """The picture that a specification has in it."""
    if isinstance(spec, dict):
        spec = list(spec.values())
    if isinstance(spec, str) and spec.startswith("data:"):
        return Image.open(io.BytesIO(base64.b64decode(spec.partition(",")[2])))
    found = [shown(one) for one in spec] if isinstance(spec, list) else []
    return next((one for one in found if one is not None), None)  # type: ignore[return-value]


@pytest.mark.parametrize("query", ["", "attention=full", "attention=none", "label=1"])
def test_vega_lite_is_of_the_answer_in_json(client: Client, query: str) -> None:
    """Amount and label as for JSON; the numbers are those that a client reads."""
    path = f"/predict/timeseries?{query}"

    answer = asked(client, path, VEGA_LITE)

    assert answer.headers["content-type"] == VEGA_LITE
    assert answer.headers["server-timing"]
    assert answer.json() == as_read(picture(asked(client, path, "*/*").json(), SERIES))


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize(("look", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_width_and_look_are_the_pictures(client: Client, path: str, look: str, colours: Look) -> None:
    """As wide as asked for and on that ground; the answer within is the same."""
    sized = f"{path}{'&' if '?' in path else '?'}width=1000&look={look}"

    spec = asked(client, sized, VEGA_LITE).json()

    given = shown(spec)
    written = io.BytesIO()
    if given is not None:
        given.save(written, "PNG")
    answer = asked(client, sized, "*/*").json()
    assert spec == as_read(picture(answer, written.getvalue() or SERIES, look=colours, width=1000))
    assert answer == asked(client, path, "*/*").json()


def test_a_wide_dark_png(client: Client) -> None:
    """Twice the width in pixels, as for a screen of twice the density; its ground is dark."""
    drawn = Image.open(io.BytesIO(asked(client, "/predict/timeseries?width=900&look=dark", PNG).content)).convert("RGB")

    assert 1740 <= drawn.width <= 1800
    assert drawn.getpixel((2, 2)) == ImageColor.getrgb(DARK.ground)


@pytest.mark.parametrize(
    ("query", "told"),
    [("width=239", "'width' is '239'"), ("width=1601", "'width' is '1601'"), ("width=wide", "'width' is 'wide'"),
     ("look=sepia", "'look' is 'sepia'")],
)  # fmt: skip
def test_a_width_or_look_that_is_none(client: Client, query: str, told: str) -> None:
    """422 names the parameter and its value."""
    refused = problem(asked(client, f"/predict/timeseries?{query}", PNG), 422, "invalid-input")

    assert told in refused


def test_several_answers_take_no_width(client: Client) -> None:
    """They are never drawn."""
    refused = problem(client.post("/predict/image/batch?width=640", json={}), 422, "invalid-input")

    assert "unknown query parameter 'width'" in refused


@pytest.mark.parametrize("query", ["", "model=colour&attention=full", "attention=none", "model=crop"])
def test_vega_lite_of_an_image_has_the_picture(client: Client, query: str) -> None:
    """The very pixels where they are few."""
    path = f"/predict/image?{query}"

    spec = asked(client, path, VEGA_LITE).json()

    given = shown(spec)
    np.testing.assert_array_equal(np.asarray(given.convert("L")), noise(8, 8))
    written = io.BytesIO()
    given.save(written, "PNG")
    assert spec == as_read(picture(asked(client, path, "*/*").json(), written.getvalue()))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_picture_is_shown_upright_and_reduced(client: Client, file_format: str) -> None:
    """As `image` of the answer describes it, 512 pixels a side at most; never what was sent."""
    image = Image.new("RGB", (1000, 500), "black")
    image.paste((250, 0, 0), (0, 0, 100, 500))
    exif = Image.Exif()
    exif[0x0112] = 6  # the left side is shown at the top
    written = io.BytesIO()
    image.save(written, file_format, exif=exif)

    spec = client.post("/predict/image", content=written.getvalue(), headers={"Accept": VEGA_LITE}).json()

    given = shown(spec)
    assert (given.format, given.size) == ("PNG", (256, 512))
    pixels = np.asarray(given).astype(int)
    assert pixels[:45, :, 0].min() > 200
    assert pixels[60:].max() < 50


@pytest.mark.parametrize("path", EVERY)
def test_svg_is_xml_and_names_the_label(client: Client, path: str) -> None:
    """A real drawing: what is predicted stands in it as text."""
    label = asked(client, path, "*/*").json()["prediction"]["label"]

    answer = asked(client, path, SVG)

    assert answer.headers["content-type"] == SVG
    drawing = ElementTree.fromstring(answer.content)
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert f"Predicted: {label}" in ["".join(text.itertext()) for text in drawing.iter() if text.tag.endswith("}text")]


@pytest.mark.parametrize("path", EVERY)
def test_png_shows_something(client: Client, path: str) -> None:
    """Light ground, and much on it."""
    answer = asked(client, path, PNG)

    assert answer.headers["content-type"] == PNG
    drawn = Image.open(io.BytesIO(answer.content))
    assert drawn.format == "PNG"
    assert 1200 <= drawn.width <= 1280
    colours = drawn.convert("RGB").getcolors(2**24)
    assert colours is not None
    assert len(colours) > 50


@pytest.mark.parametrize("accept", ["application/json, image/png", "image/png, */*", "image/png;q=0.5, */*;q=0.6"])
def test_json_wins_where_it_is_as_welcome(client: Client, accept: str) -> None:
    """It is the default."""
    assert asked(client, "/predict/timeseries", accept).headers["content-type"] == "application/json"


@pytest.mark.parametrize("accept", [SVG, PNG, VEGA_LITE, "image/*"])
@pytest.mark.parametrize("task", ["timeseries", "image"])
def test_several_answers_have_no_picture(client: Client, task: str, accept: str) -> None:
    """The reason says where one can be had."""
    response = client.post(f"/predict/{task}/batch", json={}, headers={"Accept": accept})

    assert "ask for it on the route without /batch" in problem(response, 406, "not-acceptable")


@pytest.mark.parametrize("accept", [SVG, PNG, VEGA_LITE])
def test_problems_stay_problems(client: Client, accept: str) -> None:
    """Also where a picture was asked for."""
    short = client.post("/predict/timeseries", json={"sequence": SERIES[:3]}, headers={"Accept": accept})
    damaged = client.post("/predict/image", content=b"no picture", headers={"Accept": accept})

    problem(short, 422, "invalid-input")
    problem(damaged, 400, "malformed-body")


def test_without_the_renderer_vega_lite_is_left(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """406 says what to install; who would take JSON too gets it."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with running(Settings(model_repository=repository)) as lean:
        for accept in (SVG, PNG, "image/*"):
            refused = problem(asked(lean, "/predict/image", accept), 406, "not-acceptable")
            assert "requirements/pictures.txt" in refused

        second = asked(lean, "/predict/image", "image/png, application/json;q=0.1")
        assert second.headers["content-type"] == "application/json"
        assert asked(lean, "/predict/image", VEGA_LITE).json()["vconcat"]
        content = lean.get("/openapi.json").json()["paths"]["/predict/image"]["post"]["responses"]["200"]["content"]
        assert list(content) == ["application/json", VEGA_LITE]


def test_the_loop_goes_on_while_pictures_are_drawn(client: Client) -> None:
    """Predictions are answered all the while."""

    async def both() -> int:
        drawing = asyncio.ensure_future(
            client._request("POST", "/predict/timeseries", {"json": {"sequence": SERIES}, "headers": {"Accept": PNG}})
        )
        answered = 0
        while not drawing.done():
            response = await client._request("POST", "/predict/timeseries", {"json": {"sequence": SERIES}})
            answered += response.status_code == 200
        assert (await drawing).status_code == 200
        return answered

    assert client.portal.call(both) >= 8


def test_a_picture_in_too_little_time_is_504(repository: Path) -> None:
    """Its process ends with it: the next picture is drawn."""
    before = drawing_processes()
    with running(Settings(model_repository=repository)) as service:
        late = service.post(
            "/predict/timeseries",
            json={"sequence": SERIES},
            headers={"Accept": SVG, "X-Request-Timeout-Ms": "30"},
        )

        problem(late, 504, "deadline")
        assert drawing_processes() == before
        assert asked(service, "/predict/timeseries", SVG).status_code == 200


def test_a_killed_process_is_a_problem_for_one(repository: Path) -> None:
    """503 says that it ended, and JSON is answered as ever."""
    before = drawing_processes()

    async def kill() -> None:
        await until(lambda: drawing_processes() - before)
        (drawing,) = drawing_processes() - before
        os.kill(drawing, signal.SIGKILL)

    with running(Settings(model_repository=repository)) as service:
        killing = service.portal.start_task_soon(kill)
        response = asked(service, "/predict/timeseries", SVG)
        killing.result()

        assert "ended with SIGKILL" in problem(response, 503, "drawing-failed")
        assert response.headers["retry-after"] == "1"
        assert asked(service, "/predict/timeseries", SVG).status_code == 200


def test_too_many_pictures_are_503(repository: Path) -> None:
    """Eight wait beside the one that is drawn; predictions are answered on."""
    with running(Settings(model_repository=repository)) as service:
        body = b'{"sequence": %s}' % str(SERIES).encode()
        answers = service.post_together("/predict/timeseries", [body] * 12, headers={"Accept": SVG})

        assert sorted(one.status_code for one in answers) == [200] * 9 + [503] * 3
        refused = next(one for one in answers if one.status_code == 503)
        assert "8 pictures wait to be drawn already" in problem(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "1"
