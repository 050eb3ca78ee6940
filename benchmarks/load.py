"""A closed loop by wrk: so many connections, each asks again as soon as it is answered."""

import json
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
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
# Each answer is told from the others by its id; wrk does not say which question it belongs to.
ANSWERS = """
tally = {}
local threads, samples, count = {}, nil, 0
function setup(thread)
  table.insert(threads, thread)
end
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
function done(summary, latency, requests)
  local errors, entries = summary.errors, {}
  for key, number in pairs(threads[1]:get("tally")) do
    table.insert(entries, string.format("%q: %d", key, number))
  end
  print(string.format('RESULT {"broken": %d, "tally": {%s}}',
    errors.connect + errors.read + errors.write + errors.timeout, table.concat(entries, ", ")))
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
        told = _run(script, address, connections, seconds)
    return Load(
        per_second=(told["requests"] - told["refused"]) / told["microseconds"] * 1e6,
        p50_ms=told["p50"] / 1000,
        p99_ms=told["p99"] / 1000,
        refused=told["refused"],
        broken=told["broken"],
        requests=told["requests"],
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
        looks = ANSWERS.replace("SAMPLES", json.dumps(str(samples))).replace("EVERY", str(BODY_EVERY))
        told = _run(_requests(address, known, Path(folder), first) + looks, address, connections, seconds)
        lines = samples.read_bytes().splitlines()
    counts = Counter({_answer(key): number for key, number in told["tally"].items()})
    bodies = [(_answer(f"{place.decode()} {status.decode()}"), body) for place, status, body in map(_parts, lines)]
    return Answers(counts, bodies, told["broken"])


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


def _run(script: str, address: str, connections: int, seconds: int) -> Any:
    with TemporaryDirectory() as folder:
        file = Path(folder, "load.lua")
        file.write_text(script)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(file), address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise LoadError(f"wrk failed: {done.stdout}{done.stderr}")
    return json.loads(line.removeprefix("RESULT "))


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
