"""A closed loop by wrk: so many connections, each asks again as soon as it is answered."""

import json
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.questions import Question

# Every question in turn.
REQUESTS = """
local requests = {{}}
for index, name in ipairs({files}) do
  local file = io.open(name, "rb")
  requests[index] = file:read("*a")
  file:close()
end
local turn = {first}
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""
# What wrk's own table rounds is printed whole; a status above 399 is a refusal.
TIMES = """
function done(summary, latency, requests)
  local errors = summary.errors
  local form = '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "refused": %d, "broken": %d}'
  print(string.format("RESULT " .. form,
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""
# How often each kind of answer came: a script's response() adds to the tally, by a key of its own.
TALLY = """
tally = {}
local threads = {}
function setup(thread)
  table.insert(threads, thread)
end
function done(summary, latency, requests)
  local errors, entries = summary.errors, {}
  for key, number in pairs(threads[1]:get("tally")) do
    table.insert(entries, string.format("%q: %d", key, number))
  end
  print(string.format('RESULT {"broken": %d, "p50": %d, "p99": %d, "most": %d, "tally": {%s}}',
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50), latency:percentile(99),
    latency.max, table.concat(entries, ", ")))
end
"""
# Each answer is told from the others by its id; wrk does not say which question it belongs to.
ANSWERS = """
local samples, count = nil, 0
function init(arguments)
  samples = io.open(SAMPLES, "wb")
end
function response(status, headers, body)
  local key = (headers["x-request-id"] or "?") .. " " .. status
  tally[key] = (tally[key] or 0) + 1
  count = count + 1
  if count % EVERY == 0 then
    samples:write(key, " ", body, "\\n")
  end
end
"""
# One body of so many is kept: no divisor of a usual number of questions, so that each of them has its turn.
BODY_EVERY = 503


class LoadError(RuntimeError):
    """wrk measured nothing. Says what it said."""


@dataclass(frozen=True)
class Load:
    """What was answered with 200 in a second; the latencies of everything; answers of another status; lost ones."""

    per_second: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int
    requests: int

    @property
    def errors(self) -> int:
        """All that was no 200."""
        return self.refused + self.broken


class Answer(NamedTuple):
    """What one answer is known by: the place of its question, its status. No place: an answer without its id."""

    place: int | None
    status: int


@dataclass(frozen=True)
class Answers:
    """How often each answer came, some of them with their bodies, and lost ones."""

    counts: Counter[Answer]
    bodies: Sequence[tuple[Answer, bytes]]
    broken: int


def drive(address: str, questions: Sequence[Question], connections: int, seconds: int) -> Load:
    """Ask the questions in turn for so long."""
    with TemporaryDirectory() as folder:
        script = _requests(address, questions, Path(folder)) + TIMES
        seen = _run(script, address, connections, seconds)
    return Load(
        per_second=(seen["requests"] - seen["refused"]) / seen["microseconds"] * 1e6,
        p50_ms=seen["p50"] / 1000,
        p99_ms=seen["p99"] / 1000,
        refused=seen["refused"],
        broken=seen["broken"],
        requests=seen["requests"],
    )


def collect(address: str, questions: Sequence[Question], connections: int, seconds: int, first: int = 0) -> Answers:
    """Ask the questions in turn for so long, beginning with the one at `first`, and look at the answers.
    Slower than `drive`: no times come of it.
    """
    known = [
        replace(question, headers={**question.headers, "X-Request-ID": str(place)})
        for place, question in enumerate(questions)
    ]
    with TemporaryDirectory() as folder:
        samples = Path(folder, "samples")
        looks = TALLY + ANSWERS.replace("SAMPLES", json.dumps(str(samples))).replace("EVERY", str(BODY_EVERY))
        seen = _run(_requests(address, known, Path(folder), first) + looks, address, connections, seconds)
        lines = samples.read_bytes().splitlines()
    counts = Counter({_answer(key): number for key, number in seen["tally"].items()})
    bodies = [(_answer(f"{place.decode()} {status.decode()}"), body) for place, status, body in map(_parts, lines)]
    return Answers(counts, bodies, seen["broken"])


def median(loads: Sequence[Load]) -> Load:
    """The median of each figure; errors are added up."""
    return Load(
        per_second=statistics.median(load.per_second for load in loads),
        p50_ms=statistics.median(load.p50_ms for load in loads),
        p99_ms=statistics.median(load.p99_ms for load in loads),
        refused=sum(load.refused for load in loads),
        broken=sum(load.broken for load in loads),
        requests=sum(load.requests for load in loads),
    )


def check_wrk() -> None:
    """Leave where there is no wrk."""
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")


@contextmanager
def asking(script: str, address: str, connections: int, seconds: int) -> Iterator["subprocess.Popen[str]"]:
    """wrk, at work in the block; `told` waits for it. Where it is interrupted it tells what it saw until then."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "load.lua")
        file.write_text(script)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(file), address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as wrk:
            try:
                yield wrk
            finally:
                wrk.kill()


def told(wrk: "subprocess.Popen[str]") -> Any:
    """What the script printed at the end. Raises LoadError."""
    out, errors = wrk.communicate()
    line = next((line for line in out.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise LoadError(f"wrk failed: {out}{errors}")
    return json.loads(line.removeprefix("RESULT "))


def _run(script: str, address: str, connections: int, seconds: int) -> Any:
    with asking(script, address, connections, seconds) as wrk:
        return told(wrk)


def _requests(address: str, questions: Sequence[Question], folder: Path, first: int = 0) -> str:
    files = []
    for number, question in enumerate(questions):
        file = folder / f"request{number}"
        file.write_bytes(question.raw(address))
        files.append(json.dumps(str(file)))
    return REQUESTS.format(files="{" + ", ".join(files) + "}", first=first)


def _parts(line: bytes) -> tuple[bytes, bytes, bytes]:
    place, status, body = line.split(b" ", 2)
    return place, status, body


def _answer(key: str) -> Answer:
    place, _, status = key.rpartition(" ")
    return Answer(int(place) if place.isdigit() else None, int(status))
