"""A closed loop by wrk: so many connections, each asks again as soon as it is answered."""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.questions import Question

# Every question in turn. What wrk's own table rounds is printed whole; a status above 399 is a refusal.
SCRIPT = """
local bodies = {{}}
for index, question in ipairs({questions}) do
  local file = io.open(question.file, "rb")
  bodies[index] = wrk.format("POST", question.path, question.headers, file:read("*a"))
  file:close()
end
local turn = 0
function request()
  turn = turn % #bodies + 1
  return bodies[turn]
end
function done(summary, latency, requests)
  local errors = summary.errors
  local form = '{{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "refused": %d, "broken": %d}}'
  print(string.format("RESULT " .. form,
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""


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


def drive(address: str, questions: Sequence[Question], connections: int, seconds: int) -> Load:
    """Ask the questions in turn for so long."""
    with TemporaryDirectory() as folder:
        script = Path(folder, "load.lua")
        script.write_text(SCRIPT.format(questions=_lua(questions, Path(folder), address.removeprefix("http://"))))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise LoadError(f"wrk failed: {done.stdout}{done.stderr}")
    told = json.loads(line.removeprefix("RESULT "))
    return Load(
        per_second=(told["requests"] - told["refused"]) / told["microseconds"] * 1e6,
        p50_ms=told["p50"] / 1000,
        p99_ms=told["p99"] / 1000,
        refused=told["refused"],
        broken=told["broken"],
        requests=told["requests"],
    )


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


def _lua(questions: Sequence[Question], folder: Path, host: str) -> str:
    entries = []
    for number, question in enumerate(questions):
        file = folder / f"body{number}"
        file.write_bytes(question.body)
        headers = {"Host": host, "Content-Type": question.media_type, **question.headers}
        pairs = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items())
        entries.append(f"{{file = {json.dumps(str(file))}, path = {json.dumps(question.path)}, headers = {{{pairs}}}}}")
    return "{" + ", ".join(entries) + "}"
