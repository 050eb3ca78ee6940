"""The folder that workers count in: there while they run, named in their environment, gone afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.metrics_directory import DIRECTORY_VARIABLE, SHARED_MEMORY, MetricsDirectoryError, metrics_directory


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """The variable as it was."""
    before = os.environ.pop(DIRECTORY_VARIABLE, None)
    yield
    os.environ.pop(DIRECTORY_VARIABLE, None)
    if before is not None:
        os.environ[DIRECTORY_VARIABLE] = before


def test_it_is_there_for_the_block_alone() -> None:
    """Children find its name; at the end it is gone with what is in it, and so is the name."""
    with metrics_directory() as directory:
        (directory / "counter_1.db").touch()
        named = os.environ[DIRECTORY_VARIABLE]
        mode = directory.stat().st_mode & 0o777

    assert (named, mode) == (str(directory), 0o700)
    assert not directory.exists()
    assert DIRECTORY_VARIABLE not in os.environ


@pytest.mark.skipif(not os.access(SHARED_MEMORY, os.W_OK), reason="this system has no folder in memory")
def test_it_lies_in_memory() -> None:
    """No disk is written to at each request."""
    with metrics_directory() as directory:
        assert directory.parent == SHARED_MEMORY


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()])
def test_it_is_gone_after_a_signal_too(error: BaseException) -> None:
    """The parent ends by SystemExit where it is told to stop."""
    seen = []
    with pytest.raises(type(error)), metrics_directory() as directory:  # noqa: PT012  # the block is what ends
        seen.append(directory)
        raise error

    assert not seen[0].exists()


def test_the_operators_folder_is_emptied_of_counts_and_left(tmp_path: Path) -> None:
    """Counts of an earlier run would be added to this one's; anything else there is not ours."""
    (tmp_path / "counter_1.db").touch()
    (tmp_path / "notes.txt").touch()
    os.environ[DIRECTORY_VARIABLE] = str(tmp_path)
    with metrics_directory() as directory:
        left = [file.name for file in directory.iterdir()]

    assert directory == tmp_path
    assert left == ["notes.txt"]
    assert tmp_path.is_dir()
    assert os.environ[DIRECTORY_VARIABLE] == str(tmp_path)


def test_the_operators_folder_is_made(tmp_path: Path) -> None:
    """A folder in memory is gone after every start of the machine."""
    os.environ[DIRECTORY_VARIABLE] = str(tmp_path / "run" / "heed")
    with metrics_directory() as directory:
        assert directory.is_dir()


def test_a_folder_that_cannot_be_is_told_by_its_variable(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "file").touch()
    os.environ[DIRECTORY_VARIABLE] = str(tmp_path / "file")

    with pytest.raises(MetricsDirectoryError, match=DIRECTORY_VARIABLE), metrics_directory():
        pass


def test_the_parent_does_not_import_the_library() -> None:
    """The library decides when it is imported; before the variable is set it would decide for one process."""
    program = "import sys, service.__main__, service.metrics_directory; print('prometheus_client' in sys.modules)"

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert told.strip() == "False"
