"""What the page shows of an answer, for every kind of model."""

import re

import pytest
from playwright.sync_api import expect

from tests.models.answers import png_of
from tests.page.models import HOSTILE_LABELS, LONG_LABELS, SERIES
from tests.page.visit import Visit

STATES = {
    "series-summary": "",
    "series-full": "#attention=full",
    "series-none": "#attention=none",
    "image-summary": "#model=image",
    "image-full": "#model=image&attention=full",
    "image-none": "#model=image&attention=none",
    "one-feature": "#model=one_feature",
    "twelve-features": "#model=twelve_features",
    "without-attention": "#model=without_attention",
    "hostile-labels-series": "#model=hostile.labels-1",
    "colour-3-to-1": "#model=colour&attention=full",
    "hundred-labels": "#model=hundred_labels",
}

ON_A_PHONE = ["series-summary", "image-summary", "image-full", "twelve-features", "colour-3-to-1", "hundred-labels"]


@pytest.mark.parametrize("name", STATES)
def test_every_kind_of_model_and_every_amount_of_attention_is_shown(visit: Visit, name: str) -> None:
    """Without a fault, accessible, in light and in dark."""
    visit.open(STATES[name])

    visit.says("said", f"Predicted {visit.answer['prediction']['label']}, score")
    visit.looks_right(name)


@pytest.mark.parametrize("name", ON_A_PHONE)
def test_every_state_fits_a_phone(phone: Visit, name: str) -> None:
    """360 pixels wide, without scrolling sideways."""
    phone.open(STATES[name])

    phone.says("said", "Predicted")
    phone.looks_right(f"phone-{name}", ("light",))


def test_attention_is_chosen(visit: Visit) -> None:
    """Summary, full and none ask for just that."""
    visit.open("#model=any_length")
    body = {"sequence": SERIES}

    for amount in ("full", "none", "summary"):
        visit.page.get_by_label(amount, exact=True).check()
        visit.shows(body, model="any_length", attention=amount)


def test_a_label_is_chosen_by_a_click_and_by_typing(visit: Visit) -> None:
    """Its contributions are shown; a second click, and an empty field, go back to the predicted one."""
    visit.open("#model=any_length")
    other = "0" if visit.answer["prediction"]["label"] == "1" else "1"
    score = visit.page.locator("#picture .mark-text text").get_by_text(other, exact=True).first

    score.click()
    visit.says("json", f'"label": "{other}",\n    "unit"')
    score.click()
    expect(visit.page.locator("#label")).to_have_value("")
    visit.page.locator("#label").press_sequentially(other)
    visit.says("json", f'"label": "{other}",\n    "unit"')
    visit.shows({"sequence": SERIES}, model="any_length", label=other)


def test_a_label_is_offered_where_it_makes_a_difference(visit: Visit) -> None:
    """Not without attention; what was chosen is there again afterwards."""
    visit.open("#model=any_length&label=0")
    label = visit.page.locator("#label")

    visit.page.get_by_label("none", exact=True).check()
    visit.shows({"sequence": SERIES}, model="any_length", attention="none")
    expect(label).to_be_hidden()
    visit.page.locator("#picture .mark-text text").get_by_text("1", exact=True).first.click()
    visit.page.get_by_label("summary", exact=True).check()
    visit.shows({"sequence": SERIES}, model="any_length", label="0")
    expect(label).to_be_visible()


def test_samples_are_shown_in_turn_and_by_their_button(visit: Visit) -> None:
    """Each with its true label, as long as it is not changed."""
    visit.open("#model=any_length")
    visit.says("truth", "True label: 1")

    visit.page.get_by_role("button", name="New sample").click()
    visit.says("truth", "True label: 0")
    visit.page.get_by_role("button", name="New sample").click()
    visit.says("truth", "True label: 1")
    visit.page.get_by_role("button", name="sample 2, true label 0").click()
    visit.says("truth", "True label: 0")
    visit.page.locator("td input").first.fill("7")
    expect(visit.page.locator("#truth")).to_have_text("")


def test_the_numbers_are_there_as_tables(visit: Visit) -> None:
    """Every score, weight and contribution, for those who do not see the picture; of any number of axes."""
    visit.open("#model=any_length&attention=full")

    visit.page.get_by_text("The numbers of the picture").click()
    tables = visit.page.locator("#numbers table")
    expect(tables).to_have_count(3)
    expect(tables.nth(0).locator("tbody tr")).to_have_count(2)
    expect(tables.nth(1).locator("tbody tr")).to_have_count(len(SERIES))
    expect(tables.nth(1).locator("thead th")).to_have_text(["time", "unit 0", "unit 1"])
    values = tables.nth(2).locator("td").all_inner_texts()
    shares = visit.answer["contributions"]["values"]
    assert [float(value.replace("−", "-")) for value in values] == pytest.approx(shares, rel=1e-3)
    visit.looks_right("numbers")


def test_the_picture_tells_what_it_shows(visit: Visit) -> None:
    """To a screen reader, in a sentence."""
    visit.open("#model=any_length")
    label = visit.answer["prediction"]["label"]

    told = re.compile(rf"^Predicted: {label}\. Score ")
    expect(visit.page.locator("#picture [role=graphics-document]")).to_have_attribute("aria-label", told)


def test_labels_are_text_and_nothing_else(visit: Visit) -> None:
    """Whatever is written in a label is shown, in the headline, the picture, the list and the samples."""
    visit.open("#model=colour")

    expect(visit.page.locator("#truth")).to_have_text(f"True label: {HOSTILE_LABELS[0]}")
    for label in HOSTILE_LABELS:
        expect(visit.page.locator("#picture").get_by_text(label, exact=True)).to_be_visible()
    assert visit.page.locator("#labels option").all_inner_texts() == HOSTILE_LABELS
    assert visit.page.locator("body img[onerror]").count() == 0


def test_of_many_labels_the_best_are_shown(visit: Visit) -> None:
    """Their names are cut where there is no room, and all may be chosen."""
    visit.open("#model=hundred_labels")

    visit.drop(png_of(8, 8, 255), "white.png", "image/png")
    visit.says("said", f"Predicted {LONG_LABELS[-1]}")
    assert visit.page.locator("#labels option").count() == len(LONG_LABELS)
    texts = visit.page.locator("#picture .mark-text text")
    expect(texts.filter(has_text=LONG_LABELS[-1][:20])).to_have_count(1)
    expect(texts.filter(has_text=LONG_LABELS[0][:20])).to_have_count(0)
    visit.looks_right("hundred-labels-asked", ("light",))
