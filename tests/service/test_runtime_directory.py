"""What the processes of a service share: there while they run, gone afterwards."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from service.runtime_directory import LOCK, PREFIX, SHARED_MEMORY, runtime_directory
from tests.service.patience import PATIENCE_SECONDS, wait_until
from tests.service.processes import ROOT, greeting, halted, is_worker, process, workers_of

PARENT = """
import time
from service.runtime_directory import runtime_directory
with runtime_directory() as directory:
    (directory / "counter_1.db").touch()
    print(directory, flush=True)
    time.sleep(60)
"""
MANY_STARTS = """
from service.runtime_directory import runtime_directory
for number in range(300):
    with runtime_directory() as directory:
        (directory / "counter_1.db").touch()
"""


def test_it_is_there_for_the_block_alone() -> None:
    """For this user alone; at the end it is gone with what is in it."""
    with runtime_directory() as directory:
        (directory / "counter_1.db").touch()
        mode = directory.stat().st_mode & 0o777

    assert mode == 0o700
    assert not directory.exists()


@pytest.mark.skipif(not os.access(SHARED_MEMORY, os.W_OK), reason="this system has no folder in memory")
def test_it_lies_in_memory() -> None:
    """No disk is written to at each request."""
    with runtime_directory() as directory:
        assert directory.parent == SHARED_MEMORY


@contextmanager
def parent() -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process that holds a folder, and the folder."""
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout
            yield started, Path(started.stdout.readline().strip())
        finally:
            started.kill()


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()])
def test_it_is_gone_after_a_signal_too(error: BaseException) -> None:
    """The parent ends by SystemExit where it is told to stop."""
    seen = []
    with pytest.raises(type(error)), runtime_directory() as directory:  # noqa: PT012  # the block is what ends
        seen.append(directory)
        raise error

    assert not seen[0].exists()


def test_folder_of_a_killed_parent_is_swept_by_the_next_start() -> None:
    """That of a parent which lives stays, with what is in it."""
    with parent() as (killed, left), parent() as (_, held):
        killed.kill()
        killed.wait()
        with runtime_directory():
            is_left, of_living = left.exists(), [file.name for file in held.glob("*.db")]

    assert not is_left
    assert of_living == ["counter_1.db"]


@pytest.mark.parametrize("place", [0, 1])
def test_worker_that_outlives_a_killed_parent_keeps_the_folder(one_model: Path, place: int) -> None:
    """It still counts there, and keeps no other from its end; once it has ended too, the next start sweeps."""
    with process(one_model, HEED_WORKERS="2") as started:
        greeting(started, 1)
        slow, other = workers_of(started)[::-1] if place else workers_of(started)
        folder = folder_of(slow)
        with halted(slow):
            started.kill()
            started.wait()
            wait_until(lambda: not is_worker(other))
            with runtime_directory():
                of_living = list(folder.glob("metrics/*.db"))
        # Read to its end: that comes when the last worker has gone.
        started.communicate(timeout=PATIENCE_SECONDS)
    with runtime_directory():
        is_left = folder.exists()

    assert of_living
    assert not is_left


def folder_of(worker: int) -> Path:
    """Which it holds, as the files that it has opened tell."""
    opened = set()
    for one in Path(f"/proc/{worker}/fd").iterdir():
        with suppress(FileNotFoundError):  # the worker closes others meanwhile
            opened.add(one.readlink().parent)
    (folder,) = {one for one in opened if one.name.startswith(PREFIX)}
    return folder


def test_starts_at_once_do_not_sweep_each_other() -> None:
    """Not even a folder that is there and not held yet."""
    starts = [
        subprocess.Popen([sys.executable, "-c", MANY_STARTS], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    complaints = [start.communicate(timeout=PATIENCE_SECONDS)[1] for start in starts]

    assert complaints == [""] * 4


def test_folder_without_a_lock_is_left() -> None:
    """It is just being made, or not ours."""
    with folder_beside() as other, runtime_directory():
        assert other.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user")
def test_folder_of_another_user_is_left() -> None:
    """Dead or not, and though root could remove it."""
    with folder_beside() as other:
        (other / LOCK).touch()
        os.chown(other, 65534, 65534)
        with runtime_directory():
            assert other.is_dir()


@contextmanager
def folder_beside() -> Iterator[Path]:
    """A folder that looks like ours and is held by nobody."""
    with runtime_directory() as directory:
        place = directory.parent
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as other:
        yield Path(other)
