"""The folder that several workers count in: named in their environment."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.metrics_directory import DIRECTORY_VARIABLE, MetricsDirectoryError, metrics_directory

# It ends when its file is written, before it stands in the other's place.
KILLED_WORKER = """
import os, pathlib, signal, sys
from service.counts_file import replaced

class Place(type(pathlib.Path())):
    def replace(self, target):
        os.kill(os.getpid(), signal.SIGKILL)

replaced(Place(sys.argv[1]), b"begun")
"""


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """The variable as it was."""
    before = os.environ.pop(DIRECTORY_VARIABLE, None)
    yield
    os.environ.pop(DIRECTORY_VARIABLE, None)
    if before is not None:
        os.environ[DIRECTORY_VARIABLE] = before


def test_children_find_its_name_in_the_block_alone(tmp_path: Path) -> None:
    """In the folder that the service has anyway."""
    with metrics_directory(tmp_path) as directory:
        named = os.environ[DIRECTORY_VARIABLE]

    assert (named, directory.parent) == (str(directory), tmp_path)
    assert DIRECTORY_VARIABLE not in os.environ


def test_the_operators_folder_is_emptied_of_counts_and_left(tmp_path: Path) -> None:
    """Counts of an earlier run would be added to this one's; anything else there is not ours."""
    for name in ("counter_1.db", "worker_2.db"):
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()
    os.environ[DIRECTORY_VARIABLE] = str(tmp_path)
    with metrics_directory(tmp_path / "other") as directory:
        left = [file.name for file in directory.iterdir()]

    assert directory == tmp_path
    assert left == ["notes.txt"]
    assert tmp_path.is_dir()
    assert os.environ[DIRECTORY_VARIABLE] == str(tmp_path)


def test_what_a_killed_worker_had_begun_to_write_is_emptied_too(tmp_path: Path) -> None:
    """It stands beside the file in whose place it would have come, and nobody reads it."""
    subprocess.run([sys.executable, "-c", KILLED_WORKER, str(tmp_path / "worker_1.db")])
    begun = [file.name for file in tmp_path.iterdir()]
    os.environ[DIRECTORY_VARIABLE] = str(tmp_path)

    with metrics_directory(tmp_path / "other") as directory:
        left = list(directory.iterdir())

    assert len(begun) == 1
    assert begun != ["worker_1.db"]
    assert left == []


def test_the_operators_folder_is_made(tmp_path: Path) -> None:
    """A folder in memory is gone after every start of the machine."""
    os.environ[DIRECTORY_VARIABLE] = str(tmp_path / "run" / "heed")
    with metrics_directory(tmp_path / "other") as directory:
        assert directory.is_dir()


def test_a_folder_that_cannot_be_is_told_by_its_variable(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "file").touch()
    os.environ[DIRECTORY_VARIABLE] = str(tmp_path / "file")

    with pytest.raises(MetricsDirectoryError, match=DIRECTORY_VARIABLE), metrics_directory(tmp_path):
        pass


def test_the_parent_does_not_import_the_library() -> None:
    """It counts nothing, and the library takes memory that only workers need."""
    program = "import sys, service.__main__, service.metrics_directory; print('prometheus_client' in sys.modules)"

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert told.strip() == "False"
