"""The address holds what is shown, and never the key."""

import pytest
from playwright.sync_api import expect

from tests.page.visit import Visit


def reopened(visit: Visit) -> None:
    """The same address, in a page that knows nothing."""
    address = visit.page.url
    visit.page.goto("about:blank")
    visit.page.goto(address)
    visit.settle()


def test_a_changed_series_is_the_same_after_a_reload(visit: Visit) -> None:
    """Model, attention, label and every value; nothing is said of a true label any more."""
    visit.open("#model=any_length")
    visit.page.get_by_label("full", exact=True).check()
    visit.page.get_by_label("step 3, feature 1", exact=True).fill("2.25")
    visit.page.locator("#label").press_sequentially("0")
    visit.settle()
    visit.says("json", '"label": "0",\n    "unit"')
    visit.page.wait_for_function("() => location.hash.includes('2.25') && location.hash.includes('label=0')")
    before = visit.answer

    reopened(visit)
    assert visit.answer == before
    expect(visit.page.locator("#truth")).to_have_text("")


def test_a_sample_is_known_again(visit: Visit) -> None:
    """With its true label, of a series and of a picture."""
    for model, label in (("any_length", "0"), ("image", "3")):
        visit.open(f"#model={model}")
        visit.page.get_by_role("button", name=f"sample 2, true label {label}").click()
        visit.says("truth", f"True label: {label}")
        before = visit.answer
        visit.page.wait_for_timeout(400)

        reopened(visit)
        visit.says("truth", f"True label: {label}")
        assert visit.answer == before


def test_a_drawing_is_the_same_after_a_reload(visit: Visit) -> None:
    """To the pixel."""
    visit.open("#model=image")
    visit.page.get_by_role("button", name="Clear").click()
    visit.page.locator("canvas").press("Shift+ArrowRight")
    visit.settle()
    visit.page.wait_for_timeout(400)
    before = visit.answer

    reopened(visit)
    assert visit.answer == before


def test_what_is_too_long_for_an_address_is_told(visit: Visit) -> None:
    """All else is in it."""
    visit.open("#model=twelve_features&attention=full")

    visit.says("holds", "too long for the address")
    assert "attention=full" in visit.page.url
    assert "input=" not in visit.page.url


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("#model=nothing&version=7&input=[[1,2]]", "no model 'nothing'"),
        ("#model=timeseries&version=9", "no version '9'"),
        ("#model=timeseries&attention=most", "no attention 'most'"),
        ("#model=any_length&input=[[1,", "cannot be read"),
        ("#model=any_length&input={}", "cannot be read"),
        ("#model=image&input=*", "cannot be read"),
        ("#%E0%A4%A&&==", ""),
    ],
)
def test_what_an_address_asks_for_in_vain_is_told(visit: Visit, state: str, told: str) -> None:
    """And something else is shown in its place."""
    visit.refused = {"status of 404"}
    visit.open(state)

    visit.says("notice", told)
    visit.says("said", "Predicted")


def test_a_label_that_is_none_is_refused_by_the_service(visit: Visit) -> None:
    """In its own words, and may be taken away."""
    visit.refused = {"status of 422"}
    visit.open("#model=any_length&label=7")

    visit.says("problem", "has no label '7', its labels are 0, 1")
    visit.page.locator("#label").fill("")
    visit.page.locator("#label").blur()
    visit.says("said", "Predicted")


def test_another_address_in_the_same_page_is_followed(visit: Visit) -> None:
    """As when a colleague's address is pasted over it."""
    visit.open("#model=any_length")

    visit.page.evaluate("location.hash = '#model=one_feature'")
    visit.says("json", '"name": "one_feature"')
    expect(visit.page.locator("#model")).to_have_value("one_feature")
