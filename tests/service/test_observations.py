"""Values that are counted together, against the library that counts them one by one."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from service.observations import Observations

BOUNDS = (0.25, 1, 2.5)
VALUES = st.one_of(st.sampled_from([*BOUNDS, 0.0, -1.0, math.inf]), st.floats(-1, 4))


def histogram() -> Histogram:
    """One of its own."""
    return Histogram("seen", "What was seen.", ["by"], buckets=BOUNDS, registry=CollectorRegistry())


def samples(seen: Histogram) -> dict[tuple[str, str], float]:
    """What a scrape would tell, but for the time of its making."""
    told = next(iter(seen.collect())).samples
    return {(one.name, one.labels.get("le", "")): one.value for one in told if not one.name.endswith("_created")}


@given(st.lists(st.lists(VALUES, max_size=20), max_size=4))
def test_as_the_library_counts_them(lots: list[list[float]]) -> None:
    """Whatever is noted, in however many lots: buckets, count and sum."""
    ours, theirs = histogram(), histogram()
    noted = Observations(ours.labels("us"))

    for lot in lots:
        for value in lot[:3]:
            noted.observe(value)
        noted.observe_all(lot[3:])
        noted.count()
        for value in lot:
            theirs.labels("us").observe(value)

    expected = samples(theirs) if any(lots) else samples(ours)
    assert {key: value for key, value in samples(ours).items() if key[0] != "seen_sum"} == {
        key: value for key, value in expected.items() if key[0] != "seen_sum"
    }
    assert math.isclose(samples(ours)["seen_sum", ""], expected["seen_sum", ""], rel_tol=1e-9, abs_tol=1e-9)


def test_nothing_is_seen_before_it_is_counted() -> None:
    """And nothing twice."""
    seen = histogram()
    noted = Observations(seen.labels("us"))

    noted.observe(1.0)
    before = samples(seen)["seen_count", ""]
    noted.count()
    noted.count()

    assert (before, samples(seen)["seen_count", ""]) == (0, 1)
