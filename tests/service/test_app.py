"""The application as a whole."""

import tomllib
from pathlib import Path

from service.app import VERSION

ROOT = Path(__file__).parents[2]


def test_version_is_the_project_s() -> None:
    """It stands in two places, because the image has no pyproject.toml; both say the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION
