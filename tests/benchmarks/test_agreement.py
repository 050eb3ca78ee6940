"""A peer that answers something else is found before it is timed."""

from typing import Any

import pytest

from benchmarks.agreement import DisagreementError, check, difference


@pytest.mark.parametrize(
    "theirs",
    [{"a": [1.0, 2], "b": None}, {"b": None, "a": [1.0000005, 2.0]}, {"a": [1, 2.0000009], "b": None}],
)
def test_equal_documents_agree(theirs: Any) -> None:
    """Order of members, whole numbers written as such, and float32 noise are no difference."""
    assert difference({"a": [1.0, 2], "b": None}, theirs) is None


@pytest.mark.parametrize(
    ("theirs", "place"),
    [
        ({"a": [1.0, 2.1], "b": None}, "$.a[1]"),
        ({"a": [1.0], "b": None}, "$.a"),
        ({"a": [1.0, "2"], "b": None}, "$.a[1]"),
        ({"a": [True, 2], "b": None}, "$.a[0]"),
        ({"a": [1.0, 2], "b": {}}, "$.b"),
        ({"a": [1.0, 2]}, "$: members ['b']"),
        (None, "$"),
    ],
)
def test_the_first_difference_is_named(theirs: Any, place: str) -> None:
    """Whoever mends a peer wants to know where."""
    assert difference({"a": [1.0, 2], "b": None}, theirs) == place


def test_answers_that_went_to_the_wrong_caller_disagree() -> None:
    """A batch whose answers are in another order is as wrong as other numbers."""
    with pytest.raises(DisagreementError, match=r"\$\.label"):
        check([{"label": "0"}, {"label": "1"}], [{"label": "1"}, {"label": "0"}])
