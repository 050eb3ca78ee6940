"""Whether a figure reaches its target."""

import pytest

from benchmarks.targets import TARGETS, Claim, Target


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(2.5, "reached"), (2.0, "reached"), (1.5, "must, not reach for by 25%"), (0.75, "**missed** by 50%")],
)
def test_a_floor(value: float, verdict: str) -> None:
    """More is better, and the bound itself is reached."""
    assert Target(Claim.TO_MOSEC_32, "at least", 1.5, 2).verdict(value) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"), [(5, "reached"), (8, "must, not reach for by 60%"), (20, "**missed** by 100%")]
)
def test_a_ceiling(value: float, verdict: str) -> None:
    """Less is better."""
    assert Target(Claim.STEADY_P99, "at most", 10, 5, " ms").verdict(value) == verdict


def test_what_stands_in_the_way_is_told_where_it_stands_in_the_way() -> None:
    """A missed target says why, a reached one does not."""
    target = Target(Claim.START, "at most", 2, 1, " s", obstacle="onnxruntime's import")

    assert target.verdict(1.5) == "must, not reach for by 50%: onnxruntime's import"
    assert target.verdict(0.9) == "reached"


def test_every_claim_has_its_target() -> None:
    """No measurement without a bound, no bound without a measurement."""
    assert [target.claim for target in TARGETS] == list(Claim)
