"""The results as Markdown: what is missing is told as missing."""

from pathlib import Path

import pytest

from benchmarks.comparison import CONNECTIONS, SERIES, Cell, Comparison, Memory
from benchmarks.contestants import BY_NAME, CONTESTANTS, HEED, MOSEC
from benchmarks.environments import PEERS, versions
from benchmarks.features import Cost, Pair
from benchmarks.load import Load
from benchmarks.plan import Plan
from benchmarks.ratios import ratios
from benchmarks.report import Results, report
from benchmarks.targets import Claim, Figure

PLAN = Plan(Path(), seconds=8, rounds=3, overload_seconds=60, soak_requests=1)


def _comparison(ours: float, theirs: float) -> Comparison:
    result = Comparison()
    for workers in PLAN.worker_counts:
        for name, rate in ((HEED, ours), (MOSEC, theirs)):
            for connections in CONNECTIONS:
                load, cell = Load(rate, 2, 3, 0, 0, 1000), Cell(name, workers, SERIES, connections)
                result.loads[cell], result.in_turn[cell] = load, [load] * PLAN.turns
            result.memory[name, workers] = Memory(1, 100, 90)
    return result


def test_a_ratio_is_heed_over_its_peer() -> None:
    """Twice as many requests a second is 2, and a peer that was not measured gives no figure."""
    figures = ratios(_comparison(ours=3000, theirs=1500))

    assert figures[Claim.TO_MOSEC_32].value == 2
    assert figures[Claim.TAIL_32].value == 1.5
    assert Claim.TO_FASTAPI_DEF_32 not in figures


def test_every_target_has_a_row() -> None:
    """What was not measured is said so, and not left out."""
    text = report(PLAN, [BY_NAME[HEED]], Results(figures={Claim.START: Figure(0.5, "starts: 0.5")}))

    assert all(f"| {claim} |" in text for claim in Claim)
    assert "| at most 2.00 s | 1.00 s | 0.50 s | reached | starts: 0.5 |" in text
    assert text.count("not measured") == len(Claim) - 1


def test_a_peer_that_could_not_be_installed_keeps_its_row() -> None:
    """Dropping it silently would look like a choice."""
    comparison = _comparison(ours=3000, theirs=1500)
    comparison.missing["LitServe", 1] = "could not be installed: no wheel\nfor this Python"

    text = report(PLAN, CONTESTANTS, Results(comparison))

    assert "| LitServe | could not be installed: no wheel |" in text
    assert "3,000 (2.00 / 3.00)" in text


def test_a_feature_without_a_setting_is_told() -> None:
    """An unknown setting would change nothing, and look free."""
    text = report(PLAN, [], Results(costs=[Cost("metrics"), Cost("keys", [Pair(900, 1000)] * 2)]))

    assert "| metrics |  |  | this version has no such setting |  |" in text
    assert "| keys | 900 | 1,000 | 10.0% | 10.0% to 10.0% |" in text


@pytest.mark.parametrize("peer", sorted({contestant.peer for contestant in CONTESTANTS} - {""}))
def test_a_peer_is_pinned(peer: str) -> None:
    """The same run a month later measures the same versions."""
    lines = (PEERS / peer / "requirements.txt").read_text().splitlines()

    assert all("==" in line for line in lines)
    assert "onnxruntime 1." in versions(peer)
