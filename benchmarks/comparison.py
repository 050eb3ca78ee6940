"""Heed and its peers one after another, every load; and beside each other, asked in turn, where a ratio is claimed."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.agreement import DisagreementError, answers, check
from benchmarks.contestants import BARE, BY_NAME, FASTAPI_ASYNC, FASTAPI_DEF, HEED, MOSEC, Contestant, started
from benchmarks.environments import InstallError
from benchmarks.load import Load, LoadError, drive
from benchmarks.memory import proportional_mib, resident_mib
from benchmarks.plan import Plan
from benchmarks.processes import Running, StartError
from benchmarks.questions import Question, picture_questions, series_questions
from service.cores import usable_cores

CONNECTIONS = (1, 32, 128)
SERIES, PICTURE = "time series", "40×40 PNG"


class Rivals(NamedTuple):
    """Servers of which a ratio is claimed. They are up together, and while one is asked the others idle: the machine's
    speed changes within a minute, and a ratio of two loads that lie minutes apart is the machine's.
    """

    workers: int
    names: tuple[str, ...]
    connections: tuple[int, ...]


RIVALS = (
    Rivals(1, (HEED, BARE), (1,)),
    Rivals(usable_cores(), (HEED, MOSEC, FASTAPI_ASYNC, FASTAPI_DEF), (32, 128)),
)


class Cell(NamedTuple):
    """One place of the table."""

    contestant: str
    workers: int
    question: str
    connections: int


class Memory(NamedTuple):
    """After the loads, MiB: of all processes, RSS summed and PSS."""

    processes: int
    resident: float
    proportional: float


@dataclass
class Comparison:
    """Every load measured, by cell; those of rivals; the memory afterwards; why a contestant is missing."""

    loads: dict[Cell, Load] = field(default_factory=dict)
    in_turn: dict[Cell, list[Load]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[tuple[str, int], Memory] = field(default_factory=dict)
    missing: dict[tuple[str, int], str] = field(default_factory=dict)


def compare(plan: Plan, contestants: Sequence[Contestant]) -> Comparison:
    """Measure. A contestant that cannot be installed, does not start or answers otherwise is told as missing."""
    result = Comparison()
    expected = _expected(plan)
    for workers in plan.worker_counts:
        for contestant in contestants:
            if workers > 1 and not contestant.takes_workers:
                continue
            try:
                _measure(plan, contestant, workers, expected, result)
            except (InstallError, StartError, DisagreementError, LoadError) as error:
                result.missing[contestant.name, workers] = f"{_kind(error)}: {error}"
                print(f"{contestant.name}: {error}", file=sys.stderr)
    measured = {contestant.name for contestant in contestants}
    for rivals in RIVALS:
        try:
            _ask_in_turn(plan, rivals, measured, result)
        except (StartError, LoadError) as error:
            # What was measured before stands.
            print(f"{', '.join(rivals.names)}, asked in turn: {error}", file=sys.stderr)
    return result


def _measure(
    plan: Plan, contestant: Contestant, workers: int, expected: dict[str, list[Any]], result: Comparison
) -> None:
    with started(contestant, plan.repository, workers) as server:
        for name, questions in _questions(plan).items():
            check(expected[name], answers(server.address, questions))
            drive(server.address, questions[:1], 32, plan.warm_up_seconds)
            for connections in CONNECTIONS:
                cell = Cell(contestant.name, workers, name, connections)
                result.loads[cell] = drive(server.address, questions[:1], connections, plan.seconds)
                _tell(cell, result.loads[cell])
        result.memory[contestant.name, workers] = _memory(server)


def _ask_in_turn(plan: Plan, rivals: Rivals, measured: set[str], result: Comparison) -> None:
    questions = _questions(plan)[SERIES][:1]
    entered = [it for it in rivals.names if it in measured and (it, rivals.workers) not in result.missing]
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(started(BY_NAME[name], plan.repository, rivals.workers)) for name in entered
        }
        for server in servers.values():
            drive(server.address, questions, 32, plan.warm_up_seconds)
        for connections in rivals.connections * plan.turns:
            for name, server in servers.items():
                cell = Cell(name, rivals.workers, SERIES, connections)
                load = drive(server.address, questions, connections, plan.turn_seconds)
                result.in_turn[cell].append(load)
                _tell(cell, load)


def _questions(plan: Plan) -> dict[str, list[Question]]:
    return {SERIES: series_questions(plan.repository), PICTURE: picture_questions(plan.repository)}


def _expected(plan: Plan) -> dict[str, list[Any]]:
    with started(BY_NAME[HEED], plan.repository, 1) as server:
        return {name: answers(server.address, questions) for name, questions in _questions(plan).items()}


def _memory(server: Running) -> Memory:
    processes = server.processes()
    return Memory(len(processes), sum(resident_mib(processes)), proportional_mib(processes))


def _kind(error: Exception) -> str:
    if isinstance(error, InstallError):
        return "could not be installed"
    return "did not start" if isinstance(error, StartError) else "not measured"


def _tell(cell: Cell, load: Load) -> None:
    print(
        f"{cell.contestant}, workers {cell.workers}, {cell.question}, c={cell.connections}: "
        f"{load.per_second:,.0f}/s, p50 {load.p50_ms:.2f} ms, p99 {load.p99_ms:.2f} ms, errors {load.errors}",
        file=sys.stderr,
        flush=True,
    )
