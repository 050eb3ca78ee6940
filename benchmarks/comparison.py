"""Heed and its peers one after another, every load; and again in turn where a ratio is claimed."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.agreement import DisagreementError, answers, check
from benchmarks.contestants import BARE, BY_NAME, FASTAPI_ASYNC, FASTAPI_DEF, HEED, MOSEC, Contestant, started
from benchmarks.environments import InstallError
from benchmarks.load import Load, LoadError, drive, median
from benchmarks.memory import proportional_mib, resident_mib
from benchmarks.plan import Plan
from benchmarks.processes import Running, StartError
from benchmarks.questions import Question, picture_questions, series_questions
from service.cores import usable_cores

CONNECTIONS = (1, 32, 128)
SERIES, PICTURE = "time series", "40×40 PNG"


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
    """Every load measured, by cell; the memory afterwards; why a contestant is missing."""

    loads: dict[Cell, list[Load]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[tuple[str, int], Memory] = field(default_factory=dict)
    missing: dict[tuple[str, int], str] = field(default_factory=dict)

    def of(self, cell: Cell) -> Load | None:
        """The median of the cell's rounds."""
        return median(self.loads[cell]) if self.loads.get(cell) else None


def compare(plan: Plan, contestants: Sequence[Contestant]) -> Comparison:
    """Measure. A contestant that cannot be installed, does not start or answers otherwise is told as missing."""
    result = Comparison()
    expected = _expected(plan)
    for workers in plan.worker_counts:
        for turn in range(plan.rounds):
            for contestant in contestants:
                cells = list(_cells(contestant, workers, turn))
                if cells and (contestant.name, workers) not in result.missing:
                    try:
                        _measure(plan, contestant, cells, expected, result)
                    except (InstallError, StartError, DisagreementError, LoadError) as error:
                        result.missing[contestant.name, workers] = f"{_kind(error)}: {error}"
                        print(f"{contestant.name}: {error}", file=sys.stderr)
    return result


def _cells(contestant: Contestant, workers: int, turn: int) -> Iterator[Cell]:
    name = contestant.name
    if workers > 1 and not contestant.takes_workers:
        return
    if turn == 0:
        yield from (Cell(name, workers, question, c) for question in (SERIES, PICTURE) for c in CONNECTIONS)
    elif workers == usable_cores() and name in (HEED, MOSEC, FASTAPI_ASYNC, FASTAPI_DEF):
        yield from (Cell(name, workers, SERIES, c) for c in (32, 128))
    elif workers == 1 and name in (HEED, BARE):
        yield Cell(name, workers, SERIES, 1)


def _measure(
    plan: Plan, contestant: Contestant, cells: Sequence[Cell], expected: dict[str, list[Any]], result: Comparison
) -> None:
    questions = _questions(plan)
    workers = cells[0].workers
    with started(contestant, plan.repository, workers) as server:
        for question in {cell.question: None for cell in cells}:
            check(expected[question], answers(server.address, questions[question]))
            drive(server.address, questions[question][:1], 32, plan.warm_up_seconds)
            for cell in cells:
                if cell.question == question:
                    load = drive(server.address, questions[question][:1], cell.connections, plan.seconds)
                    result.loads[cell].append(load)
                    _tell(cell, load)
        result.memory.setdefault((contestant.name, workers), _memory(server))


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
