"""Real parts for the tests of export: the text's recipe trained whole, an image recipe for two epochs."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def published_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default command's published version: the text's task, whole."""
    repository = tmp_path_factory.mktemp("series") / "model_repository"
    done = run_export("timeseries", "--repository", repository)
    assert done.returncode == 0, done.stderr
    assert "Published" in done.stdout
    return repository / "timeseries" / "1"
