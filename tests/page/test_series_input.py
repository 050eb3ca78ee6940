"""The input of a time-series model: every way to change it is a request with just that input."""

import json
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.page.models import SERIES
from tests.page.visit import Visit

ANY = "#model=any_length"
TEXT = "first, second\n1, 2\n3, −4.5\n\n5e-1, 0\n"
ROWS = [[1, 2], [3, -4.5], [0.5, 0]]
POINTS = """() => [...document.querySelectorAll("#picture .mark-symbol path")]
  .map((path) => [path.__data__.datum, path.getBoundingClientRect()])
  .filter(([datum]) => datum.x === 4 && datum.y === 0)
  .map(([, box]) => [box.x + box.width / 2, box.y + box.height / 2])[0]"""


def rows(visit: Visit) -> Any:
    """Those that are asked, as the curl line has them."""
    line = visit.page.locator("#curl").inner_text()
    return json.loads(line[line.index("-d '") + 4 : -1])["sequence"]


def test_a_cell_is_edited(visit: Visit) -> None:
    """And what is left unfinished in it comes back."""
    visit.open(ANY)
    cell = visit.page.get_by_label("step 3, feature 1", exact=True)

    cell.fill("2.25")
    visit.shows({"sequence": [*SERIES[:3], [3.0, 2.25], *SERIES[4:]]}, model="any_length")
    cell.fill("")
    cell.blur()
    expect(cell).to_have_value("2.25")


def test_text_is_typed(visit: Visit) -> None:
    """Of any length, with a heading, with the typographer's minus; it stays as it was typed."""
    visit.open(ANY)
    text = visit.page.get_by_label("As text")

    text.fill(TEXT)
    visit.shows({"sequence": ROWS}, model="any_length")
    expect(text).to_have_value(TEXT)
    expect(visit.page.locator("#editor tbody tr")).to_have_count(3)


def test_a_table_and_json_are_pasted(visit: Visit) -> None:
    """Anywhere on the page, as a spreadsheet or a program has them."""
    visit.open(ANY)

    visit.paste_text("1\t2\n3\t-4.5\n0.5\t0", "body")
    visit.shows({"sequence": ROWS}, model="any_length")
    visit.paste_text('{"sequence": [[7, 8]]}', "td input >> nth=0")
    visit.shows({"sequence": [[7, 8]]}, model="any_length")
    visit.paste_text("[[1, 2], [3, -4.5], [0.5, 0]]", "body")
    visit.shows({"sequence": ROWS}, model="any_length")


def test_a_table_of_decimal_commas_is_read(visit: Visit) -> None:
    """As spreadsheets of half of Europe write it: between semicolons."""
    visit.open(ANY)

    visit.paste_text('"eins";"zwei"\r\n1,0;2\r\n3;-4,5\r\n0,5;0\r\n', "body")
    visit.shows({"sequence": ROWS}, model="any_length")


def test_a_file_is_dropped_pasted_and_opened(visit: Visit) -> None:
    """A CSV file."""
    visit.open(ANY)

    visit.drop(TEXT.encode(), "series.csv", "text/csv")
    visit.says("curl", "[0.5,0]")
    visit.shows({"sequence": ROWS}, model="any_length")
    visit.paste_file(b"9,9", "series.csv", "text/csv")
    visit.says("curl", "[[9,9]]")
    visit.page.locator("#editor input[type=file]").set_input_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": b"4,4"}
    )
    visit.says("curl", "[[4,4]]")


def test_what_is_no_series_is_refused(visit: Visit) -> None:
    """With the line that is wrong; what was asked before is marked as old, and comes back with the next change."""
    visit.open(ANY)

    visit.drop(b"1,2\n3,four", "series.csv", "text/csv")
    visit.says("problem", "This input cannot be read: line 2: 'four' is no number")
    visit.says("said", "No prediction")
    visit.looks_right("unreadable", ("light",))
    visit.drop(b"\x89PNG\r\n\x1a\n\0\0", "picture.png", "image/png")
    visit.says("problem", "This input cannot be read:")
    visit.paste_text("{1: 2}", "body")
    visit.says("problem", "it is no JSON")
    visit.page.get_by_label("step 0, feature 0", exact=True).fill("1")
    visit.says("said", "Predicted")
    expect(visit.page.locator("#problem")).to_be_hidden()


def test_a_point_is_dragged(visit: Visit) -> None:
    """Up is more; what is let go is what is asked, and the address has it."""
    visit.open("")
    x, y = visit.page.evaluate(POINTS)
    before = rows(visit)

    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    for moved in range(1, 9):
        visit.page.mouse.move(x, y - 5 * moved)
    visit.page.mouse.up()
    visit.settle()
    after = rows(visit)
    assert after[4][0] > before[4][0] + 5
    assert after[4][1] == before[4][1]
    visit.shows({"sequence": after})
    expect(visit.page.get_by_label("step 4, feature 0", exact=True)).to_have_value(str(after[4][0]))


def test_a_point_of_a_flat_series_is_dragged(visit: Visit) -> None:
    """Although its scale says nothing of how far."""
    visit.open(f"#model=timeseries&input={[[0, 0]] * 10}")
    x, y = visit.page.evaluate(POINTS)

    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x, y - 30)
    visit.page.mouse.up()
    visit.settle()
    changed = [value for step in rows(visit) for value in step if value != 0]
    assert changed == [0.5]


def test_a_point_is_dragged_with_a_finger(phone: Visit) -> None:
    """And the page does not scroll under it."""
    phone.open("")
    phone.page.locator("#picture").scroll_into_view_if_needed()
    before = rows(phone)
    x, y = phone.page.evaluate(POINTS)
    top = "document.querySelector('#picture').getBoundingClientRect().top"
    before_it = phone.page.evaluate(top)
    touch = phone.page.context.new_cdp_session(phone.page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    send("touchStart", (x, y))
    for moved in range(1, 9):
        send("touchMove", (x, y - 5 * moved))
    send("touchEnd")
    phone.settle()
    assert rows(phone)[4][0] > before[4][0] + 5
    assert phone.page.evaluate(top) == pytest.approx(before_it, abs=2)


def test_steps_are_added_and_removed(visit: Visit) -> None:
    """Down to one; a model of one length does not offer it."""
    visit.open(ANY)

    visit.page.get_by_role("button", name="Add step").click()
    visit.shows({"sequence": [*SERIES, SERIES[-1]]}, model="any_length")
    remove = visit.page.get_by_role("button", name="Remove last")
    for _ in range(len(SERIES)):
        remove.click()
    visit.shows({"sequence": SERIES[:1]}, model="any_length")
    expect(remove).to_be_disabled()
    visit.open("")
    expect(visit.page.get_by_role("button", name="Add step")).to_be_hidden()


def test_a_long_series_is_paged(visit: Visit) -> None:
    """A hundred steps at a time; an edit on a later page changes that step."""
    visit.open("#model=twelve_features")
    later = visit.page.get_by_role("button", name="Later")

    expect(visit.page.get_by_text("steps 0–99 of 1000")).to_be_visible()
    expect(visit.page.get_by_role("button", name="Earlier")).to_be_disabled()
    for _ in range(9):
        later.click()
    expect(visit.page.get_by_text("steps 900–999 of 1000")).to_be_visible()
    expect(later).to_be_disabled()
    visit.page.get_by_label("step 999, feature 11", exact=True).fill("123.5")
    visit.says("curl", "123.5]]")


def test_a_flat_list_is_one_feature(visit: Visit) -> None:
    """As samples of such a model are written."""
    visit.open("#model=one_feature")

    assert rows(visit)[:3] == [[0], [1], [2]]
    visit.says("truth", "True label: 1")
