"""Everything is reached and done with the keyboard, and one sees where one is."""

from typing import Any

from playwright.sync_api import expect

from tests.page.visit import Visit

HERE = """() => {
  const here = document.activeElement;
  const seen = getComputedStyle(here.classList.contains("unseen") ? here.closest("label") : here);
  const { does, copies, number, step } = here.dataset;
  const name = here.id || does || copies || number || step || here.type || here.tagName;
  return { name, outline: seen.outlineStyle, width: seen.outlineWidth };
}"""


def stops(visit: Visit, most: int) -> list[Any]:
    """Where Tab goes, from the beginning."""
    visit.page.locator("body").evaluate("(body) => body.focus()")
    found = []
    for _ in range(most):
        visit.page.keyboard.press("Tab")
        found.append(visit.page.evaluate(HERE))
        if found[-1]["name"] == "BODY":
            return found[:-1]
    return found


def test_every_control_is_reached_in_the_order_of_the_page(visit: Visit) -> None:
    """Each with a frame around it that is seen."""
    visit.open("#model=any_length")

    found = stops(visit, 80)
    names = [one["name"] for one in found]
    order = ["model", "version", "add", "remove", "file", "textarea", "label", "SUMMARY", "curl", "json"]
    places = [names.index(name) for name in order]
    assert places == sorted(places)
    assert {"radio", "0", "9"} <= set(names)
    assert [one for one in found if one["outline"] == "none" or one["width"] == "0px"] == []


def test_a_picture_is_drawn_and_asked_with_keys_alone(visit: Visit) -> None:
    """From the address bar to the answer."""
    visit.open("#model=image")

    names = [one["name"] for one in stops(visit, 40)]
    assert {"CANVAS", "clear", "color", "range", "file"} <= set(names)
    visit.page.locator("[data-does=clear]").focus()
    visit.page.keyboard.press("Enter")
    visit.page.locator("canvas").focus()
    for _ in range(3):
        visit.page.keyboard.press("Shift+ArrowDown")
    visit.settle()
    expect(visit.page.locator("#truth")).to_have_text("")
    visit.page.locator("#asked [value=summary]").focus()
    visit.page.keyboard.press("ArrowRight")
    expect(visit.page.locator("#asked [value=full]")).to_be_checked()
    visit.says("said", "Predicted")


def test_the_answer_is_spoken(visit: Visit) -> None:
    """What was predicted is a live region, what went wrong an alert."""
    visit.open("#model=any_length")

    expect(visit.page.locator("#said")).to_have_attribute("aria-live", "polite")
    visit.drop(b"none", "a.csv", "text/csv")
    expect(visit.page.get_by_role("alert")).to_contain_text("cannot be read")
