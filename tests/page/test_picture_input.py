"""The input of an image model: drawn, opened, dropped or pasted."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.page.visit import Visit
from tests.service.picture_files import noise, saved

COLOUR = "#model=colour"
RGB = Image.fromarray(noise(20, 60, 3))
TURNED = Image.Exif()
TURNED[0x0112] = 6
FILES = {
    "picture.png": ("image/png", saved(RGB)),
    "turned.jpg": ("image/jpeg", saved(RGB, "JPEG", exif=TURNED)),
    "clear.png": ("image/png", saved(RGB.convert("RGBA").point(lambda value: value // 2))),
    "moving.gif": ("image/gif", saved(RGB, "GIF")),
    "old.tiff": ("image/tiff", saved(RGB, "TIFF")),
}


def drawn(visit: Visit) -> Image.Image:
    """The picture that is asked, as the curl line has it."""
    visit.settle()
    line = visit.page.locator("#curl").inner_text()
    content = base64.b64decode(json.loads(line[line.index("-d '") + 4 : -1])["image"])
    return Image.open(io.BytesIO(content)).convert("RGB")


def stroke(visit: Visit, canvas: Locator, *places: tuple[float, float]) -> None:
    """A line through places, as shares of the canvas."""
    box: Any = canvas.bounding_box()
    first, *others = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in places]
    visit.page.mouse.move(*first)
    visit.page.mouse.down()
    for place in others:
        visit.page.mouse.move(*place, steps=10)
    visit.page.mouse.up()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_sent_as_it_is(visit: Visit, name: str) -> None:
    """Whether the browser can show it or not."""
    kind, content = FILES[name]
    visit.open(COLOUR)

    visit.drop(content, name, kind)
    visit.says("curl", base64.b64encode(content).decode()[:80])
    visit.shows(content=content, model="colour")
    expect(visit.page.locator("#truth")).to_have_text("")
    visit.looks_right(f"file-{name.partition('.')[0]}", ("light",))


def test_a_file_is_pasted_and_opened(visit: Visit) -> None:
    """The same as dropped."""
    visit.open(COLOUR)
    content = FILES["picture.png"][1]
    other = FILES["turned.jpg"][1]

    visit.paste_file(content, "image.png", "image/png")
    visit.says("curl", base64.b64encode(content).decode()[:80])
    visit.page.locator("#editor input[type=file]").set_input_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": other}
    )
    visit.says("curl", base64.b64encode(other).decode()[:80])
    visit.shows(content=other, model="colour")


def test_a_browser_shows_a_turned_picture_as_the_service_sees_it(visit: Visit) -> None:
    """Upright."""
    visit.open(COLOUR)

    visit.drop(FILES["turned.jpg"][1], "turned.jpg", "image/jpeg")
    visit.shows(content=FILES["turned.jpg"][1], model="colour")
    shown = visit.page.locator("canvas").evaluate("(canvas) => [canvas.width, canvas.height]")
    assert shown == [visit.answer["image"]["width"], visit.answer["image"]["height"]] == [20, 60]
    box: Any = visit.page.locator("canvas").bounding_box()
    assert box["height"] == pytest.approx(3 * box["width"], rel=0.05)
    assert box["height"] < 320


def test_what_the_browser_cannot_show_is_told(visit: Visit) -> None:
    """The sheet is empty, and says why."""
    visit.open(COLOUR)

    visit.drop(FILES["old.tiff"][1], "old.tiff", "image/tiff")
    expect(visit.page.locator("#editor .note")).to_contain_text("cannot show this file")
    visit.says("said", "Predicted")
    visit.page.get_by_role("button", name="Clear").click()
    expect(visit.page.locator("#editor .note")).not_to_contain_text("cannot show this file")


def test_what_is_no_picture_is_refused_by_the_service(visit: Visit) -> None:
    """In its own words."""
    visit.open(COLOUR)
    visit.refused = {"status of 400", "status of 415"}

    visit.drop(b"no picture at all", "notes.png", "image/png")
    visit.says("problem", "(400)")
    visit.drop(b"no picture at all", "notes.txt", "text/plain")
    visit.says("problem", "(415)")


def test_it_is_drawn_on_with_the_pointer(visit: Visit) -> None:
    """In the colours of the pen, over what was there; then it is no sample any more."""
    visit.open("#model=image")
    visit.page.get_by_role("button", name="Clear").click()
    assert drawn(visit).getextrema() == ((0, 0), (0, 0), (0, 0))
    canvas = visit.page.locator("canvas")

    stroke(visit, canvas, (0.5, 0.2), (0.5, 0.8))
    picture = drawn(visit)
    assert picture.getpixel((picture.width // 2, picture.height // 2)) == (255, 255, 255)
    assert picture.getpixel((picture.width // 8, picture.height // 2)) == (0, 0, 0)
    visit.looks_right("drawn", ("dark",))
    visit.page.get_by_label("black").check()
    stroke(visit, canvas, (0.3, 0.5), (0.7, 0.5))
    assert drawn(visit).getpixel((picture.width // 2, picture.height // 2)) == (0, 0, 0)
    visit.page.get_by_label("another colour of the pen").fill("#ff0000")
    stroke(visit, canvas, (0.3, 0.5), (0.7, 0.5))
    assert drawn(visit).getpixel((picture.width // 2, picture.height // 2)) == (255, 0, 0)
    expect(visit.page.locator("#truth")).to_have_text("")


def test_it_is_drawn_on_with_keys(visit: Visit) -> None:
    """The arrows move the pen, and draw while Shift is held."""
    visit.open("#model=image")
    visit.page.get_by_role("button", name="Clear").click()
    canvas = visit.page.locator("canvas")

    canvas.press("ArrowDown")
    assert drawn(visit).getbbox() is None
    for _ in range(5):
        canvas.press("Shift+ArrowRight")
    picture = drawn(visit)
    assert picture.getpixel((round(picture.width * 0.6), round(picture.height * 0.54))) == (255, 255, 255)


def test_it_is_drawn_on_with_a_finger(phone: Visit) -> None:
    """And the page does not scroll under it."""
    phone.open("#model=image")
    phone.page.get_by_role("button", name="Clear").click()
    phone.settle()
    box: Any = phone.page.locator("canvas").bounding_box()
    scrolled = phone.page.evaluate("scrollY")
    touch = phone.page.context.new_cdp_session(phone.page)

    for kind, share in (("touchStart", 0.3), ("touchMove", 0.5), ("touchMove", 0.7), ("touchEnd", None)):
        places = [{"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] * share}] if share else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
    picture = drawn(phone)
    assert picture.getpixel((picture.width // 2, picture.height // 2)) == (255, 255, 255)
    assert phone.page.evaluate("scrollY") == scrolled
