"""The same for programs: the curl line and the JSON, as they are copied."""

import json
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.page.models import SERIES
from tests.page.test_picture_input import FILES
from tests.page.visit import Visit
from tests.service.picture_files import noise, saved

ODD_NAME = 'it\'s a "photo" & $(more).jpg'


def copied(visit: Visit, button: str) -> str:
    """What the button puts into the clipboard."""
    visit.settle()
    visit.page.get_by_role("button", name=button).click()
    visit.says("notice", "Copied.")
    text: str = visit.page.evaluate("navigator.clipboard.readText()")
    return text


def answered(line: str, folder: Path) -> object:
    """By the service, to the line in a shell."""
    done = subprocess.run(["sh", "-euc", line], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "state", ["", "#model=any_length&attention=full&label=0&version=1", "#model=image&attention=none", "#model=colour"]
)
def test_the_curl_line_answers_what_is_shown(visit: Visit, state: str, tmp_path: Path) -> None:
    """Run in a shell."""
    visit.open(state)

    line = copied(visit, "Copy the curl line")
    shown = json.loads(copied(visit, "Copy the JSON"))
    assert answered(line, tmp_path) == shown


def test_a_large_file_is_told_by_its_name(visit: Visit, tmp_path: Path) -> None:
    """Whatever the name is."""
    content = saved(Image.fromarray(noise(200, 300, 3)), "PNG")
    (tmp_path / ODD_NAME).write_bytes(content)
    visit.open("#model=colour")

    visit.drop(content, ODD_NAME, "image/png")
    visit.says("curl", "--data-binary")
    visit.shows(content=content, model="colour")
    assert answered(copied(visit, "Copy the curl line"), tmp_path) == visit.answer
    visit.says("holds", "too long for the address")


def test_what_is_too_long_for_a_line_is_saved(visit: Visit, tmp_path: Path) -> None:
    """A drawing that nobody has as a file, under the name that the line gives."""
    visit.open("#model=colour")
    visit.drop(saved(Image.fromarray(noise(200, 300, 3))), "photo.png", "image/png")
    visit.says("curl", "@photo.png")

    visit.page.locator("canvas").press("Shift+ArrowRight")
    visit.says("curl", "@drawn.png")
    visit.settle()
    with visit.page.expect_download() as started:
        visit.page.get_by_role("button", name="Save the input").click()
    started.value.save_as(tmp_path / started.value.suggested_filename)
    assert answered(copied(visit, "Copy the curl line"), tmp_path) == visit.answer


def test_a_series_is_saved(visit: Visit) -> None:
    """As the body of a request."""
    visit.open("#model=any_length")

    with visit.page.expect_download() as started:
        visit.page.get_by_role("button", name="Save the input").click()
    assert started.value.suggested_filename == "series.json"
    assert json.loads(started.value.path().read_text()) == {"sequence": SERIES}


def test_a_file_that_the_browser_cannot_show_is_told_too(visit: Visit, tmp_path: Path) -> None:
    """As base64, where it is small."""
    visit.open("#model=colour")

    visit.drop(FILES["old.tiff"][1], "old.tiff", "image/tiff")
    visit.shows(content=FILES["old.tiff"][1], model="colour")
    assert answered(copied(visit, "Copy the curl line"), tmp_path) == visit.answer


def test_without_a_clipboard_the_text_is_selected(visit: Visit) -> None:
    """As on a page of another host that has no TLS."""
    visit.page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    visit.open("")

    visit.page.get_by_role("button", name="Copy the JSON").click()
    visit.says("notice", "It is selected now")
    expect(visit.page.locator("#json")).to_contain_text('"model"')
    assert json.loads(visit.page.evaluate("String(getSelection())")) == visit.answer
