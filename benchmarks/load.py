"""The service under load, as Markdown: throughput, latency, errors, memory, and how long it takes to be ready.

Starts the service on the model repository and drives it with wrk, one question after another. The figures of one run
compare with each other; those of two runs, on a shared machine, do not.
"""

import argparse
import base64
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PORT = 8765
ADDRESS = f"http://127.0.0.1:{PORT}"
# Counts what is no 200, and prints the latencies that wrk's own table rounds.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "{media_type}"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format("RESULT %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


class Question(NamedTuple):
    """What is asked: a path, and a file as its body."""

    name: str
    path: str
    media_type: str
    body: bytes


class Load(NamedTuple):
    """What wrk measured."""

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def questions() -> list[Question]:
    """One time series and one PNG, with every amount of attention."""
    samples = {name: _get(f"/models/{name}/samples")["samples"][0]["body"] for name in ("timeseries", "image")}
    series = json.dumps(samples["timeseries"]).encode()
    picture = base64.b64decode(samples["image"]["image"])
    return [
        *(
            Question(f"time series, {it}", f"/predict/timeseries?attention={it}", "application/json", series)
            for it in ("none", "summary", "full")
        ),
        *(
            Question(f"40×40 PNG, {it}", f"/predict/image?attention={it}", "image/png", picture)
            for it in ("none", "summary")
        ),
    ]


def load(question: Question, connections: int, seconds: int) -> Load:
    """Drive one question. The answer is looked at first: a fast refusal is no throughput."""
    request = urllib.request.Request(ADDRESS + question.path, question.body, {"Content-Type": question.media_type})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert json.load(response)["prediction"]["label"]
    with TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "load.lua")
        body.write_bytes(question.body)
        script.write_text(SCRIPT.format(media_type=question.media_type, body=body))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), ADDRESS + question.path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    assert found, done.stdout
    requests, microseconds, p50, p99, errors = map(int, found.groups())
    return Load(requests / microseconds * 1e6, p50 / 1000, p99 / 1000, errors)


@contextmanager
def service(repository: Path, workers: int) -> Iterator[tuple[int, float]]:
    """The service as a process: its id, and the seconds from its start until it was ready."""
    environment = os.environ | {
        "HEED_PORT": str(PORT),
        "HEED_WORKERS": str(workers),
        "HEED_MODEL_REPOSITORY": str(repository),
    }
    started = time.monotonic()
    with TemporaryDirectory() as folder, open(Path(folder, "log"), "w") as log:
        process = subprocess.Popen([sys.executable, "-m", "service"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield process.pid, _ready_after(started)
        finally:
            process.terminate()
            process.wait(timeout=60)


def _ready_after(started: float) -> float:
    for _ in range(3000):
        try:
            _get("/v2/health/ready")
        except OSError:
            time.sleep(0.01)
        else:
            return time.monotonic() - started
    raise TimeoutError("the service was not ready within half a minute")


def _get(path: str) -> dict[str, list[dict[str, dict[str, str]]]]:
    with urllib.request.urlopen(ADDRESS + path, timeout=5) as response:
        document: dict[str, list[dict[str, dict[str, str]]]] = json.load(response)
        return document


def resident_mib(process: int) -> dict[int, float]:
    """RSS of a process and of its children, MiB each."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return {
        number: int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{number}/status").read_text())[1]) / 1024  # type: ignore[index]
        for number in (process, *map(int, children))
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}")
    for workers in arguments.workers:
        with service(arguments.repository.resolve(), workers) as (process, ready):
            print(f"\n{workers} worker{'s' if workers > 1 else ''}, ready after {ready:.2f} s\n")
            print("| question | connections | requests a second | p50 ms | p99 ms | errors |")
            print("| --- | --- | --- | --- | --- | --- |")
            for question in questions():
                load(question, 32, 2)
                for connections in (1, 32, 128):
                    it = load(question, connections, arguments.seconds)
                    print(
                        f"| {question.name} | {connections} | {it.per_second:,.0f} | {it.p50_ms:.2f} | {it.p99_ms:.2f} "
                        f"| {it.errors} |",
                        flush=True,
                    )
            told = ", ".join(f"{size:.0f}" for size in resident_mib(process).values())
            print(f"\nRSS afterwards, MiB, parent first where there is one: {told}")


if __name__ == "__main__":
    main()
