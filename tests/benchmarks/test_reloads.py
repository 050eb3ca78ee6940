"""What is said of loads under load."""

import pytest

from benchmarks.reloads import Reloads, report, verdict

KNOWN = {"0 0.6000 0.1000", "1 0.7000 0.2000"}
QUIET = {"p50": 2000, "p99": 5000, "most": 20_000, "broken": 0, "tally": {}}


def seen(**changes: object) -> Reloads:
    """A run in which all went well, but for the changes."""
    loaded = {**QUIET, "tally": {"0 0.6000 0.1000": 10, "1 0.7000 0.2000": 20}, **changes}
    return Reloads(QUIET, loaded, [0.5, 0.7], [], 300, 301)


def test_nothing_lost_and_nothing_mixed() -> None:
    """All answers are of one version or the other, whole."""
    assert verdict(seen(), KNOWN) == (
        "No request was lost, no answer mixed versions, and memory went back to what it was."
    )
    assert "| answers meanwhile | 30, 0 of neither version, 0 lost |" in report(seen(), KNOWN)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tally": {"0 0.7000 0.2000": 3}}, "3 answers are of neither version"),
        ({"tally": {"503": 2}}, "2 answers are of neither version"),
        ({"broken": 4}, "4 requests were lost"),
        ({"p99": 51_000}, "p99 is 51 ms, at most 50 was wanted"),
    ],
)
def test_each_thing_that_is_wrong_is_said(changes: dict[str, object], said: str) -> None:
    """An answer of one version's number with the other's values is of neither."""
    assert verdict(seen(**changes), KNOWN) == f"**Not as it should be**: {said}."


def test_memory_that_grew_is_said() -> None:
    """By more than comes and goes."""
    result = seen()
    result.after_mib = 341

    assert verdict(result, KNOWN) == "**Not as it should be**: memory grew by 41 MiB."


def test_refused_loads_are_said() -> None:
    """With what the service said."""
    result = seen()
    result.refused.append("version 7: 503")

    assert verdict(result, KNOWN) == "**Not as it should be**: version 7: 503."
