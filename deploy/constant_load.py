"""Ask at a constant rate for so long, and count: python -m deploy.constant_load PHASE SECONDS, from the project's root.

Short requests, which a proxy can keep and send again, and long ones, which it cannot. Prints a row of a table for each:
asked, answered with 200, otherwise, not at all, p50 and p99 in ms, and in the first what the proxy sent a second time.
"""

import argparse
import csv
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from benchmarks.generator import Arrivals, arrive
from benchmarks.questions import Question

# More than a proxy keeps, and little enough that one replica answers for two.
BATCH = 64


def main() -> None:
    """Ask, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase")
    parser.add_argument("seconds", type=int)
    parser.add_argument("--address", default="http://127.0.0.1:8080")
    parser.add_argument("--statistics", default="http://127.0.0.1:8404", help="of HAProxy")
    parser.add_argument("--short-rate", type=int, default=200, help="requests of one series in a second")
    parser.add_argument("--long-rate", type=int, default=20, help=f"requests of {BATCH} series in a second")
    arguments = parser.parse_args()
    rates = (arguments.short_rate, arguments.long_rate)
    before = _sent_again(arguments.statistics)
    with ThreadPoolExecutor(len(rates)) as threads:
        loads = [
            threads.submit(arrive, arguments.address, question, rate, arguments.seconds)
            for question, rate in zip(_questions(arguments.address), rates, strict=True)
        ]
        results = [load.result() for load in loads]
    again = _sent_again(arguments.statistics) - before
    print(_row(arguments.phase, "one series", arguments.seconds, results[0], str(again)))
    print(_row(arguments.phase, f"{BATCH} series", arguments.seconds, results[1], ""))


def _row(phase: str, name: str, seconds: int, found: Arrivals, again: str) -> str:
    asked, answered = found.asked_per_second * seconds, found.answered_per_second * seconds
    counts = f"{asked:,.0f} | {answered:,.0f} | {found.refused:,} | {found.broken:,}"
    return f"| {phase} | {name} | {counts} | {found.p50_ms:.1f} | {found.p99_ms:.1f} | {again} |"


def _questions(address: str) -> list[Question]:
    with urllib.request.urlopen(f"{address}/models/timeseries/samples") as response:
        samples = json.load(response)["samples"]
    one = samples[0]["body"]["sequence"]
    bodies = [("/predict/timeseries", {"sequence": one}), ("/predict/timeseries/batch", {"sequences": [one] * BATCH})]
    return [Question(path, path, "application/json", json.dumps(body).encode()) for path, body in bodies]


def _sent_again(address: str) -> int:
    with urllib.request.urlopen(f"{address}/;csv") as response:
        rows = list(csv.DictReader(response.read().decode().removeprefix("# ").splitlines()))
    (backend,) = (row for row in rows if (row["pxname"], row["svname"]) == ("heed", "BACKEND"))
    return int(backend["wretr"])


if __name__ == "__main__":
    main()
