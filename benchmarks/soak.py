"""python -m benchmarks.soak: a million requests of every kind; is memory flat, is every answer right?"""

import argparse
import json
import signal
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.agreement import ASKED_AT_ONCE, difference
from benchmarks.contestants import BY_NAME, HEED, started
from benchmarks.load import BODY_EVERY, Answer, Answers, check_wrk, collect
from benchmarks.machine import machine, versions
from benchmarks.memory import MOST_GROWTH, Growth, Sample, growth, proportional_mib, resident_mib, thinned
from benchmarks.processes import Running
from benchmarks.report import markdown_table
from benchmarks.soak_questions import Asked, deck, soak_repository, unfinished
from service.cores import usable_cores
from service.session import _options  # asked, so that what the report tells of it cannot drift

RESULTS = Path(__file__).parent / "SOAK.md"
WHOLE = 1_000_000
CONNECTIONS = LEAVERS = 32
HALF_EVERY = 25
MOST_ROWS = 30
MOST_COMPLAINTS = 10


@dataclass
class Soak:
    """What has been seen so far."""

    cards: Sequence[Asked]
    counts: Counter[Answer] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    bodies: int = 0
    broken: int = 0
    left: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Requests that were answered, whatever the answer."""
        return self.counts.total()

    @property
    def wrong(self) -> int:
        """Answers of another status than their question's, or without its id."""
        return sum(count for answer, count in self.counts.items() if not self.is_expected(answer))

    @property
    def growth(self) -> Growth | None:
        """None: too few samples."""
        return growth(self.samples)

    @property
    def is_good(self) -> bool:
        """Flat, and every answer right."""
        found = self.growth
        return found is not None and found.is_flat and not (self.wrong or self.broken or self.complaints)

    def add(self, answers: Answers, first: Mapping[int, Any]) -> None:
        """Count the answers, and hold their bodies against those that each question got at first."""
        self.counts += answers.counts
        self.broken += answers.broken
        self.bodies += len(answers.bodies)
        for answer, body in answers.bodies:
            if answer.place is not None and self.is_expected(answer):
                now = json.loads(body)
                place = difference(first[answer.place], now)
                self.complain(answer.place, self.cards[answer.place].complaint(now) or (place and f"{place} differs"))

    def complain(self, place: int, text: str | None) -> None:
        """Note what is wrong with an answer, if anything is."""
        if text:
            self.complaints.append(f"{self.cards[place].kind}: {text}")

    def is_expected(self, answer: Answer) -> bool:
        """Whether a question's answer has the status that it should have."""
        return answer.place is not None and self.cards[answer.place].status == answer.status


def soak(server: Running, cards: Sequence[Asked], requests: int, seconds: int) -> Soak:
    """Ask until so many are answered; every so many seconds memory is noted, while the server rests for a moment."""
    result = Soak(cards)
    first = _first(server, result)
    processes, begun = server.processes(), time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        while result.answered < requests:
            first_card = result.answered % len(cards)
            main = beside.submit(
                collect, server.address, [it.question for it in cards], CONNECTIONS, seconds, first_card
            )
            while not main.done():
                _leave(server, result, first)
            result.add(main.result(), first)
            if server.processes() != processes:
                result.complaints.append(f"processes {processes} are {server.processes()} now: one ended")
                break
            memory = resident_mib(processes), proportional_mib(processes)
            result.samples.append(Sample(result.answered, time.monotonic() - begun, *memory))
            print(f"{result.answered:,} answered, RSS {sum(memory[0]):.1f} MiB", file=sys.stderr, flush=True)
    return result


def _first(server: Running, result: Soak) -> dict[int, Any]:
    """Every question once, before the load: its answer, held against what is known of it."""
    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        answered = list(threads.map(lambda card: _answer(card.question.at(server.address)), result.cards))
    for place, (card, (status, document)) in enumerate(zip(result.cards, answered, strict=True)):
        wrong = f"status {status}, not {card.status}" if status != card.status else card.complaint(document)
        result.complain(place, wrong)
    return {place: document for place, (_, document) in enumerate(answered)}


def _answer(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _leave(server: Running, result: Soak, first: Mapping[int, Any]) -> None:
    """Twice, clients that leave after a second: they wait for an answer, or have sent a part of their body."""
    questions, turn = [card.question for card in result.cards], result.left.total()
    result.add(collect(server.address, questions, LEAVERS, 1, turn % len(questions)), first)
    result.left["while they waited for an answer"] += LEAVERS
    # wrk wants to see one whole request.
    collect(server.address, [questions[0], *unfinished(questions[::HALF_EVERY])], LEAVERS, 1)
    result.left["in the middle of their body"] += LEAVERS


def document(result: Soak, rules: Sequence[tuple[str, str, str]]) -> str:
    """The result as Markdown."""
    look = "" if result.answered >= WHOLE else "\n\n**A short run: a look, no result.**"
    rows = [
        (
            f"{it.answered:,}",
            f"{it.seconds:.0f}",
            " + ".join(f"{one:.1f}" for one in it.resident),
            f"{it.all_resident:.1f}",
            f"{it.proportional:.1f}",
        )
        for it in thinned(result.samples, MOST_ROWS)
    ]
    left = ", ".join(f"{count:,} {how}" for how, count in result.left.items())
    return f"""# A million requests{look}

Written by `make soak`: the service with all its workers and no setting but the access log's, which is off, beside wrk.
{CONNECTIONS} connections ask; beside them {LEAVERS} at a time leave. The status of every answer is checked; one body of
{BODY_EVERY} is held against what is known of it and against the answer that the same question got before the load.

{datetime.now(UTC):%Y-%m-%d}, {machine()}.

Heed: {versions()}.

## Verdict

{verdict(result)}

## Memory

In MiB, between two loads: RSS of each process, the parent first, and of all; PSS of all. {len(rows)} of
{len(result.samples)} samples.

{markdown_table(("answered", "seconds", "RSS of each", "RSS", "PSS"), rows)}

## Requests

{markdown_table(("kind", "status", "answered"), _kinds(result))}

{result.bodies:,} bodies compared. {left or "None"} left.

## What bounds memory in onnxruntime

{markdown_table(("what", "rule", "as it is"), rules)}
"""


def verdict(result: Soak) -> str:
    """Whether memory is flat and the answers are right, each as a paragraph."""
    found = result.growth
    if found is None:
        memory = "**Not told**: too few samples. More requests, or fewer seconds between two samples, give more."
    else:
        word = "Flat" if found.is_flat else "**Not flat**"
        memory = (
            f"{word}: RSS of all processes {found.before:.1f} MiB at the end of the first tenth, {found.after:.1f} MiB "
            f"in the last: {found.share:+.1%}, and up to {MOST_GROWTH:.0%} is flat. Slope after the first tenth: "
            f"{found.slope:+.2f} MiB for each 100,000 requests."
        )
    is_right = not (result.wrong or result.broken or result.complaints)
    answers = (
        f"{'Every answer was right' if is_right else '**Answers were wrong**'}: {result.answered:,} answered, "
        f"{result.wrong:,} with another status than expected, {result.broken:,} lost, "
        f"{len(result.complaints):,} complaints about bodies and processes."
    )
    told = [f"- {text}" for text in result.complaints[:MOST_COMPLAINTS]]
    return "\n\n".join([memory, answers, *(["\n".join(told)] if told else [])])


def _kinds(result: Soak) -> Iterator[tuple[str, str, str]]:
    counts: Counter[tuple[str, int, bool]] = Counter()
    for answer, count in result.counts.items():
        kind = "unknown" if answer.place is None else result.cards[answer.place].kind
        counts[kind, answer.status, result.is_expected(answer)] += count
    for (kind, status, is_expected), count in sorted(counts.items()):
        yield kind, str(status) if is_expected else f"**{status}**", f"{count:,}"


def _rules(server: Running) -> list[tuple[str, str, str]]:
    """How the service sets onnxruntime up, and what shapes its models take."""
    options = _options()
    spins = [options.get_session_config_entry(f"session.{it}_op.allow_spinning") for it in ("intra", "inter")]
    models = [_get(server, f"/models/{model['name']}") for model in _get(server, "/models")["models"]]
    shapes = {task: ", ".join(_shapes(models, task)) for task in ("image", "timeseries")}
    return [
        ("threads of a run", "1", f"{options.intra_op_num_threads} and {options.inter_op_num_threads}"),
        ("threads wait spinning", "no", "no" if spins == ["0", "0"] else "yes"),
        ("shape of pictures", "the graph's own", shapes["image"]),
        ("shape of series", "the graph's own, or any length", shapes["timeseries"]),
        ("arena, which keeps what a run took", "", "on" if options.enable_cpu_mem_arena else "off"),
        ("memory patterns, one for each shape", "", "on" if options.enable_mem_pattern else "off"),
    ]


def _shapes(models: Sequence[Any], task: str) -> list[str]:
    """As JSON has them: null where a dimension varies."""
    fitting = [model for model in models if model["task"] == task]
    return [f"{it['name']} {json.dumps(one['shape'])}" for it in fitting for one in it["inputs"].values()]


def _get(server: Running, path: str) -> Any:
    return _answer(urllib.request.Request(server.address + path))[1]


@contextmanager
def _server(trained: Path) -> Iterator[Running]:
    with TemporaryDirectory() as folder:
        repository = soak_repository(trained, Path(folder))
        with started(BY_NAME[HEED], repository, usable_cores()) as server:
            yield server


def main() -> None:
    """Soak, write, and end with 1 where memory is not flat or an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--requests", type=int, default=WHOLE, help="to be answered, or a few more (a million)")
    parser.add_argument("--seconds", type=int, default=10, help="between two samples of the memory (10)")
    parser.add_argument("--output", type=Path, help="where the result goes; by default SOAK.md after a whole run")
    arguments = parser.parse_args()
    check_wrk()
    # So that the server is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cards = deck(arguments.repository)
    with _server(arguments.repository) as server:
        result = soak(server, cards, arguments.requests, arguments.seconds)
        text = document(result, _rules(server))
    output = arguments.output or (RESULTS if arguments.requests >= WHOLE else None)
    if output:
        output.write_text(text)
    print(text)
    sys.exit(not result.is_good)


if __name__ == "__main__":
    main()
