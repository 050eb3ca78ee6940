"""Values that are counted together, against the library that counts them one by one."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric

from service.observations import Observations
from service.series import Series

BOUNDS = (0.25, 1, 2.5)
VALUES = st.one_of(st.sampled_from([*BOUNDS, 0.0, -1.0, math.inf]), st.floats(-1, 4))
SEEN = Series("seen", "What was seen.", ("by",), bounds=BOUNDS)


def samples(seen: Metric) -> dict[tuple[str, str], float]:
    """What a scrape would tell, but for the time of its making."""
    return {
        (one.name, one.labels.get("le", "")): one.value for one in seen.samples if not one.name.endswith("_created")
    }


@given(st.lists(st.lists(VALUES, max_size=20), max_size=4))
def test_as_the_library_counts_them(lots: list[list[float]]) -> None:
    """Whatever is noted, in however many lots: buckets, count and sum."""
    theirs = Histogram("seen", "What was seen.", ["by"], buckets=BOUNDS, registry=CollectorRegistry())
    numbers = SEEN.zeros()
    noted = Observations(SEEN, numbers)
    labelled = theirs.labels("us")

    for lot in lots:
        for value in lot[:3]:
            noted.observe(value)
        noted.observe_all(lot[3:])
        noted.count()
        for value in lot:
            labelled.observe(value)

    told = samples(SEEN.family({SEEN.key("us"): numbers}))
    expected = samples(next(iter(theirs.collect())))
    assert math.isclose(told.pop(("seen_sum", "")), expected.pop(("seen_sum", "")), rel_tol=1e-9, abs_tol=1e-9)
    assert told == expected


def test_nothing_is_seen_before_it_is_counted() -> None:
    """And nothing twice."""
    numbers = SEEN.zeros()
    noted = Observations(SEEN, numbers)

    noted.observe(1.0)
    before = numbers.tolist()
    noted.count()
    noted.count()

    assert before == [0, 0, 0, 0, 0]
    assert numbers.tolist() == [0, 1, 0, 0, 1]
