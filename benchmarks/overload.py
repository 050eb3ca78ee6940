"""Heed at a steady rate, and with more to do than it can: what is still answered, and whether it is still alive."""

import statistics
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Generic, TypeVar

from benchmarks.contestants import BY_NAME, HEED, MOSEC, READY, started
from benchmarks.generator import Arrivals, Step, in_turn
from benchmarks.load import Load, drive
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
# An overload's minute is in so many parts, the capacity measured between them: the machine's clock drifts by more than
# what is measured. The clients of a flood stay connected: it begins with thousands of new connections, once.
PARTS = 6
# As many as are answered most at.
CONNECTIONS = 128
CROWD = 4
DEADLINE_MS = 250
PROBE_SECONDS = 0.1
DEFAULT_QUEUE_SIZE = 512
# So many of the samples at each end are taken as the memory before and after.
ENDS = 10


Overload = TypeVar("Overload", Load, Arrivals)


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
        with started(BY_NAME[MOSEC], plan.repository, usable_cores()) as peer:
            drive(peer.address, [question], 32, plan.warm_up_seconds)
            figures |= _steady(plan, server, peer, question)
        figures |= _crowd(plan, server, question)
        figures |= _flood(plan, server, question)
    return figures


def _steady(plan: Plan, server: Running, peer: Running, question: Question) -> dict[Claim, Figure]:
    """Asked by the clients whose capacity was measured, on the connections that they have; a peer in turn, at 70 % of
    its own: how even this machine is.
    """
    steps = [
        Step(question, plan.turn_seconds, CONNECTIONS),
        Step(question, plan.seconds, CONNECTIONS, of_the_last=STEADY),
    ]
    rounds: list[Arrivals] = []
    others: list[Arrivals] = []
    for _ in range(STEADY_ROUNDS):
        for running, seen in ((server, rounds), (peer, others)):
            seen.append(in_turn(running.address, steps)[-1])
    note = (
        f"{_each(it.asked_per_second for it in rounds)} a second on {CONNECTIONS} connections; {_tails(rounds)}; the "
        f"generator sent 99 % within {statistics.median(it.late_p99_ms for it in rounds):.1f} ms, took "
        f"{rounds[-1].cpu_share:.0%} of a core. {MOSEC} in turn with it, at 70 % of its own capacity: "
        f"{_each(it.asked_per_second for it in others)} a second; {_tails(others)}, {sum(it.errors for it in others)} "
        f"errors"
    )
    return {
        Claim.STEADY_P99: Figure(statistics.median(it.p99_ms for it in rounds), note),
        Claim.STEADY_ERRORS: Figure(sum(it.errors for it in rounds)),
    }


def _tails(rounds: Sequence[Arrivals]) -> str:
    each = ", ".join(f"{it.p99_ms:.1f}" for it in rounds)
    return f"p99 in each round {each}, p50 {statistics.median(it.p50_ms for it in rounds):.1f} ms"


def _each(rates: Iterable[float]) -> str:
    return " ".join(f"{rate:,.0f}" for rate in rates)


@dataclass(frozen=True)
class Part(Generic[Overload]):
    """Of an overload: answers a second in a closed loop before and after it, and what came of it."""

    before: float
    load: Overload
    after: float

    @property
    def share(self) -> float:
        """Of the capacity, what was still answered."""
        return self.answered / statistics.mean((self.before, self.after))

    @property
    def answered(self) -> float:
        """A second, with 200."""
        return self.load.per_second if isinstance(self.load, Load) else self.load.answered_per_second


def _parts(capacities: Sequence[float], loads: Sequence[Overload]) -> list[Part[Overload]]:
    """Each load with the capacities around it."""
    return [Part(before, load, after) for (before, after), load in zip(pairwise(capacities), loads, strict=True)]


def _told(parts: Sequence[Part[Overload]]) -> str:
    capacities = [parts[0].before, *(part.after for part in parts)]
    return (
        f"{_each(part.answered for part in parts)} a second answered, {_each(capacities)} in a closed loop before, "
        f"between and after; {sum(part.load.refused for part in parts):,} refused, "
        f"{sum(part.load.broken for part in parts)} lost"
    )


def _crowd(plan: Plan, server: Running, question: Question) -> dict[Claim, Figure]:
    size = default_of("HEED_MAX_QUEUE_SIZE")
    connections = CROWD * int(size or DEFAULT_QUEUE_SIZE)
    watch = Watch()

    def capacity() -> float:
        return drive(server.address, [question], CONNECTIONS, plan.turn_seconds).per_second

    capacities, loads = [capacity()], list[Load]()
    for _ in range(PARTS):
        with _watched(server, watch):
            loads.append(drive(server.address, [question], connections, _part_seconds(plan)))
        capacities.append(capacity())
    parts = _parts(capacities, loads)
    note = (
        f"{connections} connections for {plan.overload_seconds} s in {PARTS} parts"
        f"{'' if size else ', though this version has no queue'}: {_told(parts)}"
    )
    return {
        Claim.CROWD_GOODPUT: Figure(statistics.median(part.share for part in parts), note),
        Claim.CROWD_PROBES: Figure(max(watch.latencies_ms), watch.told()),
    }


def _flood(plan: Plan, server: Running, question: Question) -> dict[Claim, Figure]:
    hurried = replace(question, headers={"X-Request-Timeout-Ms": str(DEADLINE_MS)})
    calm = Step(question, plan.turn_seconds, CONNECTIONS)
    flood = Step(hurried, _part_seconds(plan), of_the_last=FLOOD)
    watch = Watch()
    with _watched(server, watch):
        done = in_turn(server.address, [calm, *[flood, calm] * PARTS])
    floods = done[1::2]
    parts = _parts([it.answered_per_second for it in done[::2]], floods)
    note = (
        f"{_each(it.asked_per_second for it in floods)} a second for {plan.overload_seconds} s in {PARTS} parts: "
        f"{_told(parts)}; of the capacity {', '.join(f'{part.share:.0%}' for part in parts)}; slowest probe "
        f"{max(watch.latencies_ms):.0f} ms; the generator took {floods[-1].cpu_share:.0%} of a core"
    )
    tails = [it.p99_ms for it in floods]
    p99 = f"{_each(tails)} ms, deadline {DEADLINE_MS} ms, from when it was meant to be sent"
    return {
        Claim.FLOOD_GOODPUT: Figure(statistics.median(part.share for part in parts), note),
        Claim.FLOOD_P99: Figure(statistics.median(tails) / DEADLINE_MS, p99),
    }


def _part_seconds(plan: Plan) -> int:
    return max(1, plan.overload_seconds // PARTS)


@contextmanager
def _watched(server: Running, watch: Watch) -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=_look, args=(server, watch, ended))
    thread.start()
    try:
        yield
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
