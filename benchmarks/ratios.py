"""The claims that follow from the comparison alone."""

import statistics
from collections.abc import Iterable, Iterator

from benchmarks.comparison import SERIES, Cell, Comparison
from benchmarks.contestants import BARE, FASTAPI_ASYNC, FASTAPI_DEF, HEED, MOSEC
from benchmarks.load import Load
from benchmarks.targets import Claim, Figure
from service.cores import usable_cores


def ratios(comparison: Comparison) -> dict[Claim, Figure]:
    """Of each claim the median of its turns: in a turn one server was asked right after the other."""
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
            figures[claim] = _figure([ours.per_second / theirs.per_second for ours, theirs in pairs], pairs)
    if pairs := list(_pairs(comparison, BARE, 1, 1)):
        figures[Claim.TO_BARE_1] = _figure([ours.p50_ms / theirs.p50_ms for ours, theirs in pairs], pairs)
    if loads := comparison.in_turn.get(Cell(HEED, everybody, SERIES, 32)):
        figures[Claim.TAIL_32] = _figure([load.p99_ms / load.p50_ms for load in loads], [loads])
    return figures


def _pairs(comparison: Comparison, peer: str, workers: int, connections: int) -> Iterator[tuple[Load, Load]]:
    ours = comparison.in_turn.get(Cell(HEED, workers, SERIES, connections), [])
    theirs = comparison.in_turn.get(Cell(peer, workers, SERIES, connections), [])
    return zip(ours, theirs, strict=False)


def _figure(values: list[float], loads: Iterable[Iterable[Load]]) -> Figure:
    errors = sum(load.errors for together in loads for load in together)
    return Figure(
        statistics.median(values), "turns: " + ", ".join(f"{value:.2f}" for value in values) + f"; errors {errors}"
    )
