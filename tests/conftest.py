"""Models as the export publishes them, made once for all tests."""

from pathlib import Path

import pytest

from tests.export.quick import quick_image, run_export


@pytest.fixture(scope="session")
def published_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default command's published version: the text's task, whole."""
    repository = tmp_path_factory.mktemp("series") / "model_repository"
    done = run_export("timeseries", "--repository", repository)
    assert done.returncode == 0, done.stderr
    assert "Published" in done.stdout
    return repository / "timeseries" / "1"


@pytest.fixture(scope="session")
def published_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published version of a quickly trained SE-CNN, compared with the other gate."""
    from export import pipeline  # takes seconds to import, which tests of the service alone need not wait for

    repository = tmp_path_factory.mktemp("image") / "model_repository"
    return pipeline.export(quick_image(), repository, "image", "cpu", compare_gates=True)
