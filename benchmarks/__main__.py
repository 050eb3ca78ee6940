"""python -m benchmarks: Heed beside its peers and against its targets, as benchmarks/RESULTS.md."""

import argparse
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.comparison import compare
from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.features import claims, measure_amounts, measure_features
from benchmarks.load import check_wrk
from benchmarks.overload import measure_overload
from benchmarks.pictures import measure_pictures
from benchmarks.plan import Plan
from benchmarks.ratios import ratios
from benchmarks.report import Results, report
from benchmarks.steps import measure_steps
from benchmarks.targets import Claim, Figure
from benchmarks.upkeep import measure_upkeep

RESULTS = Path(__file__).parent / "RESULTS.md"
EXPERIMENTS: dict[str, Callable[[Plan], dict[Claim, Figure]]] = {
    "overload": measure_overload,
    "pictures": measure_pictures,
    "amounts": measure_amounts,
    "upkeep": measure_upkeep,
}
PARTS = ("comparison", *EXPERIMENTS, "features", "steps")


def main() -> None:
    """Measure what was asked for; write RESULTS.md where that was everything, else print."""
    arguments = _arguments()
    check_wrk()
    _take_all_files()
    # So that the servers are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    plan = _plan(arguments)
    contestants = [it for it in CONTESTANTS if not arguments.only or it.key in arguments.only]
    begun = time.monotonic()
    document = report(plan, contestants, _measure(plan, contestants, arguments.parts))
    is_whole = not arguments.only and not arguments.quick and set(arguments.parts) == set(PARTS)
    output = arguments.output or (RESULTS if is_whole else None)
    if output:
        output.write_text(document)
    print(document)
    print(f"{(time.monotonic() - begun) / 60:.0f} minutes; written to {output or 'nothing'}", file=sys.stderr)


def _measure(plan: Plan, contestants: list[Contestant], parts: list[str]) -> Results:
    results = Results()

    def compare_all() -> dict[Claim, Figure]:
        results.comparison = compare(plan, contestants)
        return ratios(results.comparison)

    def weigh_features() -> dict[Claim, Figure]:
        results.costs = measure_features(plan)
        return claims(results.costs)

    def go_step_by_step() -> dict[Claim, Figure]:
        results.steps = measure_steps(plan)
        return {}

    measures: dict[str, Callable[[], dict[Claim, Figure]]] = {
        "comparison": compare_all,
        **{name: partial(measure, plan) for name, measure in EXPERIMENTS.items()},
        "features": weigh_features,
        "steps": go_step_by_step,
    }
    for part in [part for part in PARTS if part in parts]:
        print(f"Measuring {part}", file=sys.stderr, flush=True)
        try:
            results.figures |= measures[part]()
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            # One that fails does not take the others' half an hour with it.
            results.failures[part] = str(error) or type(error).__name__
            print(f"{part} failed: {error}", file=sys.stderr, flush=True)
    return results


def _plan(arguments: argparse.Namespace) -> Plan:
    quick = arguments.quick
    return Plan(
        repository=arguments.repository.resolve(),
        seconds=arguments.seconds or (2 if quick else 8),
        rounds=arguments.rounds,
        overload_seconds=arguments.overload_seconds or (5 if quick else 60),
        soak_requests=arguments.soak_requests or (10_000 if quick else 1_000_000),
        is_quick=quick,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    keys = [contestant.key for contestant in CONTESTANTS]
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    parser.add_argument("--only", type=_list_of(keys), default=[], help=f"servers to compare, of {','.join(keys)}")
    parser.add_argument("--parts", type=_list_of(PARTS), default=list(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="2 s a load, 5 s an overload: a look, not a result")
    parser.add_argument("--seconds", type=int, help="of one load (8)")
    parser.add_argument("--rounds", type=int, default=3, help="where servers alternate (3)")
    parser.add_argument("--overload-seconds", type=int, help="of each overload (60)")
    parser.add_argument("--soak-requests", type=int, help="after which the memory is looked at again (a million)")
    parser.add_argument("--output", type=Path, help="where the results go; by default RESULTS.md after a whole run")
    return parser.parse_args()


def _list_of(allowed: list[str] | tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(allowed):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not of {', '.join(allowed)}")
        return names

    return parse


def _take_all_files() -> None:
    # Every connection of an overload is an open file, here and in the server.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
