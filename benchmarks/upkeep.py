"""What Heed takes from the machine: time to start, memory of a worker, memory after many requests."""

import statistics
from dataclasses import replace

from benchmarks.contestants import BY_NAME, HEED, started
from benchmarks.load import drive
from benchmarks.memory import proportional_mib, resident_mib
from benchmarks.plan import Plan
from benchmarks.processes import Running
from benchmarks.questions import Question, picture_questions, series_questions
from benchmarks.targets import Claim, Figure
from service.cores import usable_cores

STARTS = 3
MB_IN_MIB = 2**20 / 1e6
SOAK_SLICE_SECONDS = 10
LONGEST_SOAK_SLICES = 12
# One picture for so many series: pictures cost ten times as much.
SERIES_TO_A_PICTURE = 4


def measure_upkeep(plan: Plan) -> dict[Claim, Figure]:
    """Three claims."""
    return {Claim.START: _start(plan)} | _memory(plan)


def _start(plan: Plan) -> Figure:
    seconds = []
    for _ in range(STARTS):
        with started(BY_NAME[HEED], plan.repository, usable_cores()) as server:
            seconds.append(server.ready_seconds)
    return Figure(statistics.median(seconds), "starts: " + ", ".join(f"{it:.2f}" for it in seconds))


def _memory(plan: Plan) -> dict[Claim, Figure]:
    kinds = _kinds(plan)
    with started(BY_NAME[HEED], plan.repository, 1) as server:
        # The first slice fills caches and pools: it is what a worker needs, not what it loses.
        first = drive(server.address, kinds, 32, SOAK_SLICE_SECONDS)
        before = _worker_mib(server)
        requests, sizes = 0, [before]
        while requests < plan.soak_requests and len(sizes) <= LONGEST_SOAK_SLICES:
            requests += drive(server.address, kinds, 32, SOAK_SLICE_SECONDS).requests
            sizes.append(_worker_mib(server))
        proportional = proportional_mib(server.processes())
    note = f"{before:.0f} MiB after the first {first.requests:,}, {sizes[-1]:.0f} MiB after {requests:,} more"
    return {
        Claim.MEMORY: Figure(max(sizes) * MB_IN_MIB, f"PSS of all its processes {proportional:.0f} MiB"),
        Claim.GROWTH: Figure(sizes[-1] / before - 1, note),
    }


def _worker_mib(server: Running) -> float:
    return max(resident_mib(server.processes()))


def _kinds(plan: Plan) -> list[Question]:
    series, picture = series_questions(plan.repository), picture_questions(plan.repository)[0]
    ways = [replace(series[0], path=f"/predict/timeseries?attention={it}") for it in ("none", "summary", "full")]
    refused = replace(series[0], body=b'{"sequence": [[1, 2]]}')
    return [
        *series[:SERIES_TO_A_PICTURE],
        picture,
        *ways,
        replace(picture, path="/predict/image?attention=none"),
        refused,
    ]
