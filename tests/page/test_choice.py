"""Which model and version is asked, also when what is served changes while the page lies open."""

import httpx
from PIL import Image
from playwright.sync_api import expect

from tests.page.visit import Visit
from tests.service.picture_files import noise, saved

COME_BACK = "document.dispatchEvent(new Event('visibilitychange'))"


def test_models_and_versions_are_chosen(visit: Visit) -> None:
    """The input goes on to another version; another model brings its own."""
    visit.open("")
    expect(visit.page.locator("#version option")).to_have_text(["2 (default)", "2", "1"])
    visit.page.get_by_label("step 0, feature 0", exact=True).fill("3.5")

    visit.page.locator("#version").select_option("1")
    visit.says("json", '"version": "1"')
    expect(visit.page.get_by_label("step 0, feature 0", exact=True)).to_have_value("3.5")
    visit.page.locator("#model").select_option("image")
    visit.says("json", '"name": "image"')
    visit.says("truth", "True label")
    visit.refused = {"status of 404"}
    visit.page.locator("#model").select_option("without_attention")
    visit.says("json", '"attention": []')
    expect(visit.page.locator("#label-choice")).to_be_hidden()


def test_a_large_picture_goes_on_to_another_version(visit: Visit) -> None:
    """Although the address has no room for it."""
    visit.open("#model=colour")
    content = saved(Image.fromarray(noise(200, 300, 3)))
    visit.drop(content, "photo.png", "image/png")
    visit.says("curl", "@photo.png")

    visit.page.locator("#version").select_option("1")
    visit.says("json", '"version": "1"')
    visit.shows(content=content, model="colour", version="1")
    visit.says("curl", "@photo.png")


def test_the_last_of_several_choices_is_shown(visit: Visit) -> None:
    """However they overlap."""
    visit.refused = {"status of 404"}
    visit.open("")

    visit.page.evaluate("""() => {
      const select = document.querySelector("#model");
      for (const name of ["image", "any_length", "without_attention", "colour", "one_feature"]) {
        select.value = name;
        select.dispatchEvent(new Event("change", { bubbles: true }));
      }
    }""")
    visit.says("json", '"name": "one_feature"')
    visit.settle()
    expect(visit.page.locator("#model")).to_have_value("one_feature")
    expect(visit.page.locator("#editor table")).to_have_count(1)


def test_a_choice_that_comes_to_nothing_is_taken_back(visit: Visit) -> None:
    """The lists say what is shown."""
    visit.open("#model=any_length")
    visit.refused = {"ERR_FAILED"}

    visit.page.route("**/models/**", lambda route: route.abort())
    visit.page.locator("#model").select_option("image")
    visit.says("problem", "cannot be reached")
    expect(visit.page.locator("#model")).to_have_value("any_length")
    visit.page.get_by_role("button", name="Try again").click()
    visit.says("said", "Predicted")


def test_a_model_that_went_is_told_and_comes_back(visit: Visit) -> None:
    """In the service's words, as soon as somebody looks at the page again."""
    visit.refused = {"status of 404"}
    visit.open("#model=going")
    control = f"{visit.address}/v2/repository/models/going"
    try:
        assert httpx.post(f"{control}/unload", timeout=30).status_code == 200
        visit.page.evaluate(COME_BACK)
        visit.says("problem", "(404)")
        expect(visit.page.locator("#model option:checked")).to_have_text("going (no longer served)")
        visit.looks_right("model-gone", ("light",))
    finally:
        assert httpx.post(f"{control}/load", timeout=30).status_code == 200
    visit.page.evaluate(COME_BACK)
    visit.says("said", "Predicted")
    expect(visit.page.locator("#model option:checked")).to_have_text("going")


def test_coming_back_changes_nothing_where_nothing_has_changed(visit: Visit) -> None:
    """The lists are asked for, and no prediction."""
    visit.open("#model=any_length")
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))

    with visit.page.expect_response("**/models"):
        visit.page.evaluate(COME_BACK)
    visit.settle()
    assert [url for url in asked if "/web/" not in url] == [f"{visit.address}/models"]
