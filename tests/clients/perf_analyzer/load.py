"""python -m tests.clients.perf_analyzer.load: Triton's load tool reads models and statistics, and asks."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients.asked import Asked, asked_from_arguments
from tests.clients.seen import Seen, described

# Names an environment variable: a command that starts perf_analyzer, where its wheel does not fit this system.
COMMAND = "PERF_ANALYZER"
LONGEST_SECONDS = 100
# Few requests in a window, and windows that differ by half are alike: does it work, not how quick is it.
WINDOW = ("--measurement-mode", "count_windows", "--measurement-request-count", "500", "--stability-percentage", "50")


@dataclass(frozen=True)
class Context:
    """What every look needs."""

    asked: Asked
    command: list[str]

    def told(self, *options: str) -> str:
        """What it writes. Raises AssertionError where it fails."""
        # It leaves files where it is started.
        with TemporaryDirectory() as folder:
            done = subprocess.run(
                [*self.command, *options],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LONGEST_SECONDS,
            )
        last = done.stdout.strip().splitlines()[-1:]
        assert done.returncode == 0, f"it ended with {done.returncode}: {last}"
        return done.stdout

    def measured(self, *options: str) -> str:
        """Its figures, the client's and the server's, at the last concurrency."""
        told = self.told("-u", self.asked.address, "-i", "http", *WINDOW, *options)
        figures = {}
        for name in ("Request count", "Throughput", "p99 latency", "Inference count", "Successful request count"):
            found = re.findall(rf"^ +{name}: (\d+\S*)", told, re.MULTILINE)
            assert found, f"it does not tell '{name}': {told[-300:]}"
            figures[name] = found[-1]
        assert int(figures["Successful request count"]) > 0, figures
        return (
            f"{figures['Request count']} requests, none failed, {figures['Throughput']} inferences a second, p99 "
            f"{figures['p99 latency']} µs; the server's statistics: {figures['Successful request count']} requests, "
            f"{figures['Inference count']} inferences"
        )


def version(context: Context) -> str:
    """perf_analyzer --version"""
    [told] = re.findall(r"Perf Analyzer Version .+", context.told("--version"))
    if len(context.command) == 1:
        return str(told)
    # It has no wheel for this system's C library, and was started by the loader of another.
    loader = subprocess.run([context.command[0], "--version"], capture_output=True, text=True).stdout.splitlines()
    return f"{told}; its binary started by {loader[0] if loader else context.command[0]}"


def binary(context: Context) -> str:
    """-m timeseries --concurrency-range 8: binary both ways, blocking calls"""
    return context.measured("-m", "timeseries", "--concurrency-range", "8")


def batches(context: Context) -> str:
    """-m timeseries -b 8 --concurrency-range 4: eight inputs in a request"""
    return context.measured("-m", "timeseries", "-b", "8", "--concurrency-range", "4")


def as_json(context: Context) -> str:
    """-m image -a --input-tensor-format json --output-tensor-format json --concurrency-range 4: asynchronous calls"""
    formats = ("--input-tensor-format", "json", "--output-tensor-format", "json")
    return context.measured("-m", "image", "-a", *formats, "--concurrency-range", "4")


def at_a_rate(context: Context) -> str:
    """-m image --request-rate-range 100: so many requests a second"""
    return context.measured("-m", "image", "--request-rate-range", "100")


LOOKS: tuple[Callable[[Context], str], ...] = (version, binary, batches, as_json, at_a_rate)


def main() -> None:
    """Measure everything."""
    asked, seen = asked_from_arguments(__doc__), Seen("perf_analyzer")
    own = str(Path(sys.executable).parent / "perf_analyzer")
    context = Context(asked, shlex.split(os.environ.get(COMMAND, own)))
    for look in LOOKS:
        with seen.row(described(look)) as told:
            told.append(look(context))
    sys.exit(seen.wrong > 0)


if __name__ == "__main__":
    main()
