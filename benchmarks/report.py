"""The results of one run as Markdown."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.comparison import CONNECTIONS, PICTURE, SERIES, Cell, Comparison
from benchmarks.contestants import Contestant
from benchmarks.environments import versions as peer_versions
from benchmarks.features import Cost
from benchmarks.load import Load
from benchmarks.machine import machine, versions
from benchmarks.plan import Plan
from benchmarks.steps import OTHER_WAYS, STEPS
from benchmarks.targets import TARGETS, Claim, Figure, Figures


@dataclass
class Results:
    """What was measured; a part that was not asked for is empty."""

    comparison: Comparison | None = None
    figures: dict[Claim, Figure] = field(default_factory=dict)
    costs: Sequence[Cost] = ()
    steps: Mapping[str, Load] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def report(plan: Plan, contestants: Sequence[Contestant], results: Results) -> str:
    """The whole document."""
    parts = [_head(plan)]
    if results.figures:
        parts.append(_targets(results.figures))
    if results.comparison:
        parts += [_loads(results.comparison, contestants, workers) for workers in plan.worker_counts]
    if results.costs:
        parts.append(_costs(results.costs))
    if results.steps:
        parts.append(_steps(results.steps))
    if results.failures:
        rows = [(part, reason.splitlines()[0]) for part, reason in results.failures.items()]
        parts.append("## Parts that failed\n\n" + markdown_table(("part", "reason"), rows))
    if results.comparison:
        parts.append(_settings(contestants))
    return "\n\n".join(parts) + "\n"


def _head(plan: Plan) -> str:
    look = "\n\n**A quick run, on a machine that was busy or not: a look, no result.**" if plan.is_quick else ""
    return f"""# Results{look}

Written by `make bench`; earlier ones are in [HISTORY.md](HISTORY.md). Figures of one run compare with each other; those
of two runs, on a shared machine whose speed drifts by a factor of two, do not.

{datetime.now(UTC):%Y-%m-%d}, {machine()}.

Heed: {versions()}.

Every server has the same ONNX files and gives the same answers, `attention=summary`: a peer's bodies are compared with
Heed's, for every sample, before it is timed. Loads of {plan.seconds} s after a warm-up. Where a ratio is claimed, the
servers were up together and asked in turn, {plan.turns} times for {plan.turn_seconds} s each; the median of the
turns' ratios is shown. Requests a second count what was answered with 200."""


def _targets(figures: Figures) -> str:
    rows = []
    for target in TARGETS:
        figure = figures.get(target.claim)
        measured, verdict = (
            (target.shown(figure.value), target.verdict(figure.value)) if figure else ("", "not measured")
        )
        bounds = (f"{target.sense} {target.shown(target.must)}", target.shown(target.reach))
        rows.append((target.claim, *bounds, measured, verdict, figure.note if figure else ""))
    return "## Targets\n\n" + markdown_table(("what", "must", "reach for", "measured", "reached", "beside it"), rows)


def _loads(comparison: Comparison, contestants: Sequence[Contestant], workers: int) -> str:
    heads = [f"{question}, c={c}" for question in (SERIES, PICTURE) for c in CONNECTIONS]
    rows = []
    for contestant in contestants:
        name = contestant.name
        if reason := comparison.missing.get((name, workers)):
            rows.append((name, reason.splitlines()[0], *[""] * (len(heads) + 1)))
            continue
        of_table = [Cell(name, workers, question, c) for question in (SERIES, PICTURE) for c in CONNECTIONS]
        cells = [comparison.loads.get(cell) for cell in of_table]
        if memory := comparison.memory.get((name, workers)):
            told = f"{memory.resident:.0f} / {memory.proportional:.0f} in {memory.processes}"
            rows.append((name, *map(_cell, cells), str(sum(cell.errors for cell in cells if cell)), told))
    title = "One worker each" if workers == 1 else f"{workers} workers each"
    table = markdown_table(("server", *heads, "errors", "RSS / PSS, MiB, processes"), rows)
    return f"## {title}: requests a second (p50 / p99 in ms)\n\n{table}"


def _cell(load: Load | None) -> str:
    return f"{load.per_second:,.0f} ({load.p50_ms:.2f} / {load.p99_ms:.2f})" if load else ""


def _costs(costs: Sequence[Cost]) -> str:
    told = "Time series, c=32, all workers, with and without in turn."
    table = markdown_table(
        (
            "feature",
            "with it, a second",
            "without",
            "share of the throughput that it takes",
            "middle half of the pairs",
        ),
        map(_cost, costs),
    )
    return f"## Cost of each feature\n\n{told}\n\n{table}"


def _cost(cost: Cost) -> Sequence[str]:
    if not cost.pairs:
        return cost.feature, "", "", "this version has no such setting", ""
    with_it, without = (statistics.median(rates) for rates in zip(*cost.pairs, strict=True))
    low, high = cost.quartiles
    return cost.feature, f"{with_it:,.0f}", f"{without:,.0f}", f"{cost.share:.1%}", f"{low:.1%} to {high:.1%}"


def _steps(loads: Mapping[str, Load]) -> str:
    told = (
        "One process, time series, c=32; each step does what the one above it does, and more. The time is that of one "
        "core, for one request."
    )
    before = [0.0, *(_microseconds(loads[step.stage]) for step in STEPS)]
    rows = [
        (step.adds, *_paced(loads[step.stage]), f"{_microseconds(loads[step.stage]) - earlier:+.0f}")
        for step, earlier in zip(STEPS, before, strict=False)
    ]
    whole = _microseconds(loads[STEPS[-1].stage])
    others = [
        (f"*instead:* {step.adds}", *_paced(loads[step.stage]), f"{_microseconds(loads[step.stage]) - whole:+.0f}")
        for step in OTHER_WAYS
    ]
    table = markdown_table(("step", "requests a second", "p99, ms", "µs", "µs more"), [*rows, *others])
    return f"## The way of a request\n\n{told}\n\n{table}"


def _microseconds(load: Load) -> float:
    return 1e6 / load.per_second


def _paced(load: Load) -> tuple[str, str, str]:
    return f"{load.per_second:,.0f}", f"{load.p99_ms:.2f}", f"{_microseconds(load):.0f}"


def _settings(contestants: Sequence[Contestant]) -> str:
    rows = [
        (contestant.name, contestant.settings, peer_versions(contestant.peer) if contestant.peer else "as above")
        for contestant in contestants
    ]
    return "## Settings and versions\n\n" + markdown_table(("server", "settings", "versions"), rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; a bar in a cell stays one."""
    return "\n".join(_lines(head, rows))


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
