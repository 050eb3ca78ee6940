"""Heed at a steady rate, and with more to do than it can: what is still answered, and whether it is still alive."""

import statistics
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from benchmarks.contestants import BY_NAME, HEED, READY, started
from benchmarks.generator import arrive, saturate
from benchmarks.load import drive
from benchmarks.memory import resident_mib
from benchmarks.plan import Plan
from benchmarks.processes import Running
from benchmarks.questions import Question, series_questions
from benchmarks.service_settings import default_of
from benchmarks.targets import Claim, Figure
from service.cores import usable_cores

LIVE = "/v2/health/live"
STEADY, FLOOD = 0.7, 1.3
STEADY_ROUNDS = 5
# As many as are answered most at.
CONNECTIONS = 128
CROWD = 4
DEADLINE_MS = 250
PROBE_SECONDS = 0.1
DEFAULT_QUEUE_SIZE = 512
# So many of the samples at each end are taken as the memory before and after.
ENDS = 10


@dataclass
class Watch:
    """What somebody sees who looks at the server meanwhile: latencies of the probes, failed ones, RSS."""

    latencies_ms: list[float] = field(default_factory=list)
    failures: int = 0
    resident: list[float] = field(default_factory=list)

    def told(self) -> str:
        """In one sentence."""
        first, last = statistics.mean(self.resident[:ENDS]), statistics.mean(self.resident[-ENDS:])
        return (
            f"{len(self.latencies_ms)} probes, {self.failures} failed, "
            f"median {statistics.median(self.latencies_ms):.0f} ms; "
            f"RSS of all processes {first:.0f} MiB at first, {max(self.resident):.0f} at most, {last:.0f} at last"
        )


def measure_overload(plan: Plan) -> dict[Claim, Figure]:
    """A steady open loop, a closed loop with far too many connections, an open loop with too many requests."""
    question = series_questions(plan.repository)[0]
    figures: dict[Claim, Figure] = {}
    with started(BY_NAME[HEED], plan.repository, usable_cores()) as server:
        drive(server.address, [question], 32, plan.warm_up_seconds)
        figures |= _steady(plan, server, question)
        figures |= _crowd(plan, server, question)
        figures |= _flood(plan, server, question)
    return figures


@dataclass(frozen=True)
class Capacity:
    """Answers a second in a closed loop, to one of two clients. Whoever asks has its share of the cores: wrk takes a
    tenth of one, the generator of open loops a third.
    """

    by_wrk: float
    by_generator: float


def _capacity(plan: Plan, server: Running, question: Question) -> Capacity:
    """Measured anew before each experiment, and after it where its answers are held against it: the machine's clock
    drifts.
    """
    return Capacity(
        drive(server.address, [question], CONNECTIONS, plan.seconds).per_second,
        saturate(server.address, question, CONNECTIONS, plan.seconds).answered_per_second,
    )


def _steady(plan: Plan, server: Running, question: Question) -> dict[Claim, Figure]:
    capacities, rounds = [], []
    for _ in range(STEADY_ROUNDS):
        capacities.append(_capacity(plan, server, question))
        rounds.append(arrive(server.address, question, STEADY * capacities[-1].by_generator, plan.seconds))
    note = (
        f"{_each(it.asked_per_second for it in rounds)} a second; p99 in each round "
        f"{', '.join(f'{it.p99_ms:.1f}' for it in rounds)}; p50 "
        f"{statistics.median(it.p50_ms for it in rounds):.1f} ms; the generator sent 99 % within "
        f"{statistics.median(it.late_p99_ms for it in rounds):.1f} ms, took {rounds[-1].cpu_share:.0%} of a core; "
        f"capacity as wrk finds it {_each(it.by_wrk for it in capacities)}"
    )
    return {
        Claim.STEADY_P99: Figure(statistics.median(it.p99_ms for it in rounds), note),
        Claim.STEADY_ERRORS: Figure(sum(it.errors for it in rounds)),
    }


def _each(rates: Iterable[float]) -> str:
    return " ".join(f"{rate:,.0f}" for rate in rates)


def _crowd(plan: Plan, server: Running, question: Question) -> dict[Claim, Figure]:
    before = _capacity(plan, server, question)
    size = default_of("HEED_MAX_QUEUE_SIZE")
    connections = CROWD * int(size or DEFAULT_QUEUE_SIZE)
    with _watched(server) as watch:
        load = drive(server.address, [question], connections, plan.overload_seconds)
    after = _capacity(plan, server, question)
    note = (
        f"{connections} connections for {plan.overload_seconds} s"
        f"{'' if size else ', though this version has no queue'}: "
        f"{load.per_second:,.0f} of {before.by_wrk:,.0f} a second before and {after.by_wrk:,.0f} after it answered, "
        f"{load.refused:,} refused, {load.broken} lost"
    )
    return {
        Claim.CROWD_GOODPUT: Figure(load.per_second / statistics.mean((before.by_wrk, after.by_wrk)), note),
        Claim.CROWD_PROBES: Figure(max(watch.latencies_ms), watch.told()),
    }


def _flood(plan: Plan, server: Running, question: Question) -> dict[Claim, Figure]:
    before = _capacity(plan, server, question)
    hurried = replace(question, headers={"X-Request-Timeout-Ms": str(DEADLINE_MS)})
    with _watched(server) as watch:
        it = arrive(server.address, hurried, FLOOD * before.by_generator, plan.overload_seconds)
    after = _capacity(plan, server, question)
    note = (
        f"{it.asked_per_second:,.0f} a second for {plan.overload_seconds} s: {it.answered_per_second:,.0f} of "
        f"{before.by_generator:,.0f} before and {after.by_generator:,.0f} after it answered (of wrk "
        f"{before.by_wrk:,.0f} and {after.by_wrk:,.0f}), {it.refused:,} refused, {it.broken} lost; "
        f"slowest probe {max(watch.latencies_ms):.0f} ms; "
        f"the generator took {it.cpu_share:.0%} of a core"
    )
    p99 = f"{it.p99_ms:.0f} ms, deadline {DEADLINE_MS} ms, from when it was meant to be sent"
    return {
        Claim.FLOOD_GOODPUT: Figure(
            it.answered_per_second / statistics.mean((before.by_generator, after.by_generator)), note
        ),
        Claim.FLOOD_P99: Figure(it.p99_ms / DEADLINE_MS, p99),
    }


@contextmanager
def _watched(server: Running) -> Iterator[Watch]:
    watch, ended = Watch(), threading.Event()
    thread = threading.Thread(target=_look, args=(server, watch, ended))
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


def _look(server: Running, watch: Watch, ended: threading.Event) -> None:
    while not watch.latencies_ms or not ended.wait(PROBE_SECONDS):
        for path in (LIVE, READY):
            begun = time.perf_counter()
            try:
                # A connection of its own each time, as probes have it.
                with urllib.request.urlopen(server.address + path, timeout=10) as response:
                    response.read()
            except OSError:
                watch.failures += 1
            watch.latencies_ms.append((time.perf_counter() - begun) * 1000)
        watch.resident.append(sum(resident_mib(server.processes())))
