"""Recipes that train in seconds, and the command as a user calls it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from export.recipes import Recipe, image, timeseries

ROOT = Path(__file__).parent.parent.parent
# The command's words in one colour, and no line of them broken.
PLAIN = {"NO_COLOR": "1", "COLUMNS": "120"}
# A script that exports the shortest series into the folder that it is given.
QUICK_EXPORT = (
    "import sys, pathlib\n"
    "from export import pipeline\n"
    "from tests.export.quick import shortest_series\n"
    "if __name__ == '__main__':\n"
    "    pipeline.export(shortest_series(), pathlib.Path(sys.argv[1]), 'timeseries', 'cpu')\n"
)


def quick_series(seed: int = 1) -> Recipe:
    """A recipe that trains in a second and is not asked to be good."""
    recipe = timeseries(seed=seed, samples=2_000)
    return replace(recipe, accuracy_floor=0.0)


def shortest_series() -> Recipe:
    """Nine batches: it has learnt nothing, and its weight has settled nowhere."""
    return replace(timeseries(samples=640), accuracy_floor=0.0)


def quick_image() -> Recipe:
    """Two short epochs on `digits`, not asked to be good."""
    recipe = image().with_epochs(2)
    data = replace(recipe.data, canvases_per_epoch=128, canvases_per_test_digit=1)  # type: ignore[type-var]
    return replace(recipe, data=data, accuracy_floor=0.0)


def run_export(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m export …` as a user calls it."""
    command: Sequence[str] = [sys.executable, "-m", "export", *map(str, arguments)]
    settings = os.environ | PLAIN | environment
    return subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, timeout=300)
