"""The claims that follow from the comparison alone."""

import statistics
from collections.abc import Iterator

from benchmarks.comparison import SERIES, Cell, Comparison
from benchmarks.contestants import BARE, FASTAPI_ASYNC, FASTAPI_DEF, HEED, MOSEC
from benchmarks.load import Load
from benchmarks.targets import Claim, Figure
from service.cores import usable_cores


def ratios(comparison: Comparison) -> dict[Claim, Figure]:
    """Of each claim the median of its rounds: in a round the two servers ran one soon after the other."""
    everybody = usable_cores()
    figures: dict[Claim, Figure] = {}
    for claim, peer, connections in (
        (Claim.TO_MOSEC_32, MOSEC, 32),
        (Claim.TO_FASTAPI_ASYNC_32, FASTAPI_ASYNC, 32),
        (Claim.TO_FASTAPI_DEF_32, FASTAPI_DEF, 32),
        (Claim.TO_MOSEC_128, MOSEC, 128),
    ):
        pairs = list(_pairs(comparison, peer, everybody, connections))
        if pairs:
            figures[claim] = _figure([ours.per_second / theirs.per_second for ours, theirs in pairs])
    if pairs := list(_pairs(comparison, BARE, 1, 1)):
        figures[Claim.TO_BARE_1] = _figure([ours.p50_ms / theirs.p50_ms for ours, theirs in pairs])
    if loads := comparison.loads.get(Cell(HEED, everybody, SERIES, 32)):
        figures[Claim.TAIL_32] = _figure([load.p99_ms / load.p50_ms for load in loads])
    return figures


def _pairs(comparison: Comparison, peer: str, workers: int, connections: int) -> Iterator[tuple[Load, Load]]:
    ours = comparison.loads.get(Cell(HEED, workers, SERIES, connections), [])
    theirs = comparison.loads.get(Cell(peer, workers, SERIES, connections), [])
    return zip(ours, theirs, strict=False)


def _figure(values: list[float]) -> Figure:
    return Figure(statistics.median(values), "rounds: " + ", ".join(f"{value:.2f}" for value in values))
