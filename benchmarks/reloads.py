"""python -m benchmarks.reloads: a hundred versions are loaded, one after another, while requests are answered."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.contestants import BY_NAME, HEED, started
from benchmarks.load import TALLY, asking, check_wrk, told
from benchmarks.machine import machine, versions
from benchmarks.memory import resident_mib
from benchmarks.processes import Running
from benchmarks.report import markdown_table
from benchmarks.soak_questions import ANY_LENGTH, any_length_model, soak_repository, write_version
from service.cores import usable_cores

RESULTS = Path(__file__).parent / "RELOADS.md"
WHOLE = 100
CONNECTIONS = 32
PATH = f"/predict/timeseries?model={ANY_LENGTH}"
SEQUENCE = [[step / 7, 1 - step / 11] for step in range(12)]
MOST_P99_MS = 50
# Of the answers' numbers so many digits are compared: batches change the last ones.
DIGITS = 4
SETTLING_SECONDS = 2
QUIET_SECONDS = 10
# Room for caches and the allocator's gaps: a hundred versions that were kept would be several times as much.
MOST_GROWTH_MIB = 10
# Longer than all loads take.
LONGEST_SECONDS = 600

# What an answer says of its version, and the numbers that only this version gives.
SCRIPT = (
    TALLY
    + """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = BODY
function response(status, headers, body)
  local key = tostring(status)
  if status == 200 then
    local version = body:match('"version":"(%d+)"')
    local score, weight = body:match('"score":([%d.]+)'), body:match('"weights":%[([%d.]+)')
    key = string.format("%d %.DIGITSf %.DIGITSf", version % 2, score, weight)
  end
  tally[key] = (tally[key] or 0) + 1
end
""".replace("BODY", json.dumps(json.dumps({"sequence": SEQUENCE}))).replace("DIGITS", str(DIGITS))
)


@dataclass
class Reloads:
    """What was seen: seconds of each load, what clients were told, memory before and after."""

    quiet: dict[str, Any]
    loaded: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    before_mib: float = 0
    after_mib: float = 0

    @property
    def counts(self) -> Counter[str]:
        """Answers by parity of their version, score and first weight."""
        return Counter(self.loaded["tally"])

    @property
    def growth_mib(self) -> float:
        """What is resident after all loads and was not before."""
        return self.after_mib - self.before_mib

    def wrong(self, known: set[str]) -> int:
        """Answers that are of neither version, whole."""
        return sum(count for key, count in self.counts.items() if key not in known)


def reload(server: Running, repository: Path, times: int) -> Reloads:
    """Load so many versions while wrk asks."""
    models = [any_length_model(seed) for seed in (2, 1)]
    quiet = _seen(server, QUIET_SECONDS)
    _next(server, repository, 3, models)
    time.sleep(SETTLING_SECONDS)
    result = Reloads(quiet, before_mib=sum(resident_mib(server.processes())))
    with _asking(server, LONGEST_SECONDS) as wrk:
        for version in range(4, 4 + times):
            began = time.monotonic()
            refusal = _next(server, repository, version, models)
            result.seconds.append(time.monotonic() - began)
            result.refused += [refusal] if refusal else []
        wrk.send_signal(signal.SIGINT)
        result.loaded = told(wrk)
    time.sleep(SETTLING_SECONDS)
    result.after_mib = sum(resident_mib(server.processes()))
    return result


def _next(server: Running, repository: Path, version: int, models: list[bytes]) -> str:
    """Publish a version, load it, and take the one before the last away, which the next load retires."""
    write_version(repository / ANY_LENGTH / str(version), models[version % 2])
    shutil.rmtree(repository / ANY_LENGTH / str(version - 2), ignore_errors=True)
    request = urllib.request.Request(f"{server.address}/v2/repository/models/{ANY_LENGTH}/load", b"{}", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return "" if response.status == 200 else f"version {version}: {response.status}"
    except urllib.error.HTTPError as error:
        return f"version {version}: {error.read().decode()}"


def _asking(server: Running, seconds: int) -> AbstractContextManager["subprocess.Popen[str]"]:
    return asking(SCRIPT, server.address + PATH, CONNECTIONS, seconds)


def _seen(server: Running, seconds: int) -> dict[str, Any]:
    with _asking(server, seconds) as wrk:
        seen: dict[str, Any] = told(wrk)
        return seen


def report(result: Reloads, known: set[str]) -> str:
    """As RELOADS.md."""
    rows = [
        ("loads", f"{len(result.seconds)}, {len(result.refused)} refused"),
        ("a load, seconds", f"{statistics.median(result.seconds):.2f} median, {max(result.seconds):.2f} at most"),
        ("answers meanwhile", f"{sum(result.counts.values()):,}, {result.wrong(known)} of neither version, "
         f"{result.loaded['broken']} lost"),
        ("latency without loads", _times(result.quiet)),
        ("latency during all loads", _times(result.loaded)),
        ("RSS of all processes, MiB", f"{result.before_mib:.0f} before, {result.after_mib:.0f} after"),
    ]  # fmt: skip
    return f"""# A hundred versions under load

{datetime.now(UTC).date()}, {machine()}.

{versions()}

All workers answer wrk on {CONNECTIONS} connections; meanwhile one version after another is published and loaded, and
the one before the last is taken away. Versions of even numbers and of odd ones have other weights: an answer names its
version, and its numbers must be that version's. Before each load the new graph is tried out in a process of its own, on
the same cores.

{markdown_table(("what", "seen"), rows)}

{verdict(result, known)}
"""


def verdict(result: Reloads, known: set[str]) -> str:
    """In a sentence."""
    p99 = result.loaded["p99"] / 1000
    bad = [
        *(result.refused[:3]),
        *([f"{result.wrong(known)} answers are of neither version"] if result.wrong(known) else []),
        *([f"{result.loaded['broken']} requests were lost"] if result.loaded["broken"] else []),
        *([f"p99 is {p99:.0f} ms, at most {MOST_P99_MS} was wanted"] if p99 > MOST_P99_MS else []),
        *([f"memory grew by {result.growth_mib:.0f} MiB"] if result.growth_mib > MOST_GROWTH_MIB else []),
    ]
    return (
        "**Not as it should be**: " + "; ".join(bad) + "."
        if bad
        else "No request was lost, no answer mixed versions, and memory went back to what it was."
    )


def _times(told: dict[str, Any]) -> str:
    p50, p99, most = (told[name] / 1000 for name in ("p50", "p99", "most"))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {most:.0f} ms at most"


def _keys(server: Running) -> set[str]:
    """What each version answers, asked alone."""
    return set(_seen(server, 1)["tally"])


def main() -> None:
    """Run, write, and fail where something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reloads", description=__doc__)
    parser.add_argument("--times", type=int, default=WHOLE, help=f"how many loads ({WHOLE})")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    check_wrk()
    os.environ["HEED_MODEL_CONTROL"] = "explicit"
    with TemporaryDirectory() as folder:
        # Version 1 there has the weights of seed 1, as all odd ones will.
        repository = soak_repository(arguments.repository, Path(folder))
        models = [any_length_model(seed) for seed in (2, 1)]
        with started(BY_NAME[HEED], repository, usable_cores()) as server:
            known = _keys(server)
            _next(server, repository, 2, models)
            known |= _keys(server)
            result = reload(server, repository, arguments.times)
    arguments.output.write_text(report(result, known))
    print(verdict(result, known))
    sys.exit(verdict(result, known).startswith("**"))


if __name__ == "__main__":
    main()
