"""Of many requests the last one is shown, whatever the order of their answers."""

from typing import Any

from playwright.sync_api import Request, Route

from tests.page.models import SERIES
from tests.page.visit import Visit

TYPED = """(values) => {
  const cell = document.querySelector("td input");
  for (const value of values) {
    cell.value = value;
    cell.dispatchEvent(new Event("input", { bubbles: true }));
  }
}"""


def test_the_last_of_many_changes_is_shown(visit: Visit) -> None:
    """And requests in flight are given up."""
    visit.open("#model=any_length")
    ended: list[Request] = []
    visit.page.on("requestfailed", lambda request: ended.append(request))

    visit.page.evaluate(TYPED, [*range(40), 2.5])
    visit.shows({"sequence": [[2.5, 0.0], *SERIES[1:]]}, model="any_length")
    assert len(ended) == 40
    assert {request.failure for request in ended} == {"net::ERR_ABORTED"}


def test_an_older_answer_is_never_shown(visit: Visit) -> None:
    """One that comes after the newer one's."""
    visit.open("#model=any_length")
    held: list[Route] = []

    visit.page.route("**/predict/**", lambda route: held.append(route) if not held else route.continue_())
    with visit.page.expect_request("**/predict/**"):
        visit.page.evaluate(TYPED, [100])
    visit.page.evaluate(TYPED, [2.5])
    visit.shows({"sequence": [[2.5, 0.0], *SERIES[1:]]}, model="any_length")
    shown = visit.answer
    held[0].abort()
    visit.settle()
    assert visit.answer == shown


def test_a_sample_ends_what_was_asked_before(visit: Visit) -> None:
    """A request of an edited cell does not come over it."""
    visit.open("#model=any_length")

    visit.page.evaluate(TYPED, [100])
    visit.page.get_by_role("button", name="sample 2").click()
    visit.says("truth", "True label: 0")
    visit.shows({"sequence": [[-3.0, 4.0]] * 10}, model="any_length")


def test_a_dragged_point_is_followed_by_a_slow_service(visit: Visit) -> None:
    """While the hand moves, one request after the other is answered, and none is given up."""
    visit.open("")
    ended: list[Any] = []
    answered: list[Any] = []
    visit.page.on("requestfailed", lambda request: ended.append(request))
    visit.page.on("requestfinished", lambda request: answered.append(request))
    x, y = visit.page.evaluate("""() => {
      const path = document.querySelector("#picture .mark-symbol path:nth-child(5)");
      const box = path.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    }""")

    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x, y - 30, steps=30)
    visit.settle()
    assert ended == []
    assert len(answered) >= 2
    visit.page.mouse.up()
    visit.settle()
