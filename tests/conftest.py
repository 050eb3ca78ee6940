"""Models as the export publishes them, made once for all tests."""

from pathlib import Path

import pytest

from tests.export.quick import run_export


@pytest.fixture(scope="session")
def published_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default command's published version: the text's task, whole."""
    repository = tmp_path_factory.mktemp("series") / "model_repository"
    done = run_export("timeseries", "--repository", repository)
    assert done.returncode == 0, done.stderr
    assert "Published" in done.stdout
    return repository / "timeseries" / "1"
