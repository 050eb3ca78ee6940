"""What went wrong is told as the service words it, and the page goes on."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.page.conftest import Visiting, serving
from tests.page.models import SERIES
from tests.page.visit import Visit
from tests.service.picture_files import noise, saved

KEY = "a-key-that-is-long-enough"
WIDTH = 400  # of a picture whose file is over the limit


@pytest.fixture(scope="module")
def keyed(repository: Path) -> Iterator[str]:
    """A service that asks for a key."""
    with serving(repository, HEED_API_KEYS=KEY) as address:
        yield address


def use_key(visit: Visit, key: str) -> None:
    """Type it, and Enter."""
    visit.page.get_by_label("API key").fill(key)
    visit.page.get_by_label("API key").press("Enter")


def test_a_key_is_asked_for_where_one_is_needed(visiting: Visiting, keyed: str) -> None:
    """A wrong one is told; a right one is kept in this tab alone, and never in the address or the curl line."""
    with visiting(keyed) as visit:
        visit.refused = {"status of 401"}
        visit.open("")

        visit.says("problem", "(401)")
        expect(visit.page.get_by_label("API key")).to_be_focused()
        visit.looks_right("key-asked")
        use_key(visit, "a-wrong-key-that-is-long")
        visit.says("problem", "one API key that is known here")
        use_key(visit, KEY)
        visit.says("said", "Predicted")
        visit.says("curl", '-H "Authorization: Bearer $HEED_API_KEY"')
        visit.looks_right("key-given", ("light",))
        visit.page.wait_for_timeout(400)
        assert KEY not in visit.page.url
        assert KEY not in visit.page.locator("#curl").inner_text()
        assert "input=" in visit.page.url
        visit.page.reload()
        visit.says("said", "Predicted")


def test_a_key_that_cannot_be_sent_is_told(visiting: Visiting, keyed: str) -> None:
    """A browser says no more than that it failed."""
    with visiting(keyed) as visit:
        visit.refused = {"status of 401"}
        visit.open("")

        use_key(visit, "schlüssel-größer-大")
        visit.says("problem", "This key cannot be sent")


def test_a_number_out_of_range_is_refused(visit: Visit) -> None:
    """By the service: its words are shown, and the next number is answered."""
    visit.refused = {"status of 422"}
    visit.open("#model=any_length")
    cell = visit.page.get_by_label("step 0, feature 0", exact=True)

    cell.fill("1e39")
    visit.says("problem", "(422)")
    visit.says("problem", "float32")
    visit.looks_right("refused-number")
    expect(visit.page.get_by_role("button", name="Try again")).to_be_hidden()
    cell.fill("2.5")
    visit.shows({"sequence": [[2.5, 0.0], *SERIES[1:]]}, model="any_length")


def test_a_series_of_another_shape_is_refused(visit: Visit) -> None:
    """A row too short, a length that the model does not take."""
    visit.refused = {"status of 422"}
    visit.open("")

    visit.page.get_by_label("As text").fill("1, 2\n3")
    visit.says("problem", "(422)")
    visit.page.get_by_label("As text").fill("1, 2\n3, 4")
    visit.says("problem", "10")
    visit.looks_right("refused-length", ("light",))


def test_a_file_over_the_limit_is_refused(visit: Visit) -> None:
    """With the limit."""
    visit.refused = {"status of 413"}
    visit.open("#model=colour")

    visit.drop(saved(Image.fromarray(noise(WIDTH, WIDTH, 3))), "large.png", "image/png")
    visit.says("problem", "(413)")
    visit.says("problem", "400000 bytes")
    visit.looks_right("too-large", ("light",))


def test_an_overloaded_service_is_told_and_tried_again(visit: Visit) -> None:
    """As the service says it; once it has room again, the answer is shown."""
    visit.refused = {"status of 503"}
    visit.open("#model=any_length")
    busy = {"title": "Overloaded", "status": 503, "detail": "the queue is full"}

    visit.page.route("**/predict/**", lambda route: route.fulfill(status=503, json=busy), times=1)
    visit.page.get_by_label("full", exact=True).check()
    visit.says("problem", "Overloaded (503) the queue is full")
    visit.page.get_by_role("button", name="Try again").click()
    visit.shows({"sequence": SERIES}, model="any_length", attention="full")


def test_what_a_proxy_says_is_told_too(visit: Visit) -> None:
    """It is no JSON."""
    visit.refused = {"status of 502"}
    visit.open("#model=any_length")

    visit.page.route("**/predict/**", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"), times=1)
    visit.page.get_by_label("full", exact=True).check()
    visit.says("problem", "Bad Gateway (502) No reason was given.")


def test_an_answer_that_is_none_is_told(visit: Visit) -> None:
    """One that broke off, or is of somebody else."""
    visit.open("#model=any_length")

    visit.page.route("**/predict/**", lambda route: route.fulfill(status=200, body='{"usermeta": '), times=1)
    visit.page.get_by_label("full", exact=True).check()
    visit.says("problem", "the connection broke off")
    visit.page.get_by_role("button", name="Try again").click()
    visit.shows({"sequence": SERIES}, model="any_length", attention="full")


def test_a_service_that_ends_is_told_and_found_again(visiting: Visiting, repository: Path) -> None:
    """The page goes on where it was."""
    with ExitStack() as stack:
        first = ExitStack()
        stack.enter_context(first)
        address = first.enter_context(serving(repository))
        visit = stack.enter_context(visiting(address))
        visit.refused = {"net::ERR_"}
        visit.open("#model=any_length")
        cell = visit.page.get_by_label("step 0, feature 0", exact=True)

        first.close()
        cell.fill("2.5")
        visit.says("problem", f"The service cannot be reached at {address}")
        visit.looks_right("unreachable")
        stack.enter_context(serving(repository, HEED_PORT=address.rpartition(":")[2]))
        visit.page.get_by_role("button", name="Try again").click()
        visit.shows({"sequence": [[2.5, 0.0], *SERIES[1:]]}, model="any_length")


def test_a_page_that_finds_nothing_at_first_is_started_again(visit: Visit) -> None:
    """By the same button."""
    visit.refused = {"net::ERR_"}
    visit.page.route("**/models", lambda route: route.abort(), times=1)
    visit.open("#model=any_length")

    visit.says("problem", "cannot be reached")
    visit.looks_right("nothing-yet", ("light",))
    visit.page.get_by_role("button", name="Try again").click()
    visit.says("said", "Predicted")
