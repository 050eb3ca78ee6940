"""Recipes that train in seconds, and the command as a user calls it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from export.recipes import Recipe, image, timeseries

ROOT = Path(__file__).parent.parent.parent


def quick_series(seed: int = 1) -> Recipe:
    """A recipe that trains in a second and is not asked to be good."""
    recipe = timeseries(seed=seed, samples=2_000)
    return replace(recipe, accuracy_floor=0.0)


def quick_image() -> Recipe:
    """Two short epochs on `digits`, not asked to be good."""
    recipe = image().with_epochs(2)
    data = replace(recipe.data, canvases_per_epoch=128, canvases_per_test_digit=1)  # type: ignore[type-var]
    return replace(recipe, data=data, accuracy_floor=0.0)


def run_export(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m export …` as a user calls it."""
    command: Sequence[str] = [sys.executable, "-m", "export", *map(str, arguments)]
    settings = os.environ | {"NO_COLOR": "1", "COLUMNS": "120"} | environment
    return subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, timeout=300)
