"""What a worker has counted, shown to the others: whole, or as before; read without those that ended in its queue."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from service.counts import FILE, Counts
from service.counts_file import CountsFile, read
from service.series import BATCH, QUEUE_LENGTH, REQUESTS, Counted, Key

LABELS = ("timeseries", "1", "/predict/timeseries", "ok")
MODEL = ("timeseries", "1")
EVERYTHING = ("", ""), MODEL, ("timeseries", "2")
KIB = 1024


def counted(requests: float, queue: float = 0, version: str = "1") -> Counted:
    """Of one worker."""
    labels = ("timeseries", version, *LABELS[2:])
    return {QUEUE_LENGTH.key(): np.array([queue], float), REQUESTS.key(*labels): np.array([requests], float)}


def written(directory: Path, process_id: int, *lots: Counted) -> Path:
    """The file of another worker, that has shown these one after the other."""
    path = directory / FILE.format(process_id)
    file = CountsFile(path)
    for lot in lots:
        file.write(lot)
    return path


def ended() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_file_says_what_was_written_last(tmp_path: Path) -> None:
    """Numbers that changed, series that came, and those that went; nothing else is left in the folder."""
    histogram = {BATCH.key(*MODEL): np.arange(BATCH.size, dtype=float)}

    path = written(tmp_path, 1, counted(1), counted(2), counted(3) | histogram, histogram)

    assert {key: numbers.tolist() for key, numbers in read(path).items()} == {
        key: numbers.tolist() for key, numbers in histogram.items()
    }
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("key", "size"),
    [
        (("heed_of_another_release_total",), 1),
        ((REQUESTS.name, *LABELS, "one label more"), REQUESTS.size),
        (BATCH.key(*MODEL), BATCH.size + 1),
    ],
)
def test_series_of_another_release_are_left_out(tmp_path: Path, key: Key, size: int) -> None:
    """Who was renewed with new code beside it has left counts that cannot be summed; all others are told."""
    path = written(tmp_path, ended(), {key: np.ones(size)} | counted(3))

    told = Counts(tmp_path).total(EVERYTHING)

    assert told.keys() == counted(0).keys() - {QUEUE_LENGTH.key()}
    assert told[REQUESTS.key(*LABELS)].tolist() == [3]
    assert key not in read(path)


def test_all_workers_are_summed(tmp_path: Path) -> None:
    """Those that run and those that ended; of the queue those that run alone, and of versions those asked for."""
    written(tmp_path, os.getppid(), counted(2, queue=5))
    written(tmp_path, ended(), counted(3, queue=7))
    written(tmp_path, ended(), counted(11, version="2"))
    counts = Counts(tmp_path)
    counts.numbers(REQUESTS, *LABELS)[0] += 4

    told = counts.total(EVERYTHING[:2])

    assert {key: numbers.tolist() for key, numbers in told.items()} == {
        QUEUE_LENGTH.key(): [5],
        REQUESTS.key(*LABELS): [9],
    }
    assert set(counts.versions()) == set(EVERYTHING)


def test_a_number_that_comes_again_counts_on(tmp_path: Path) -> None:
    """A process of the same number has ended: its counts are not lost, its queue is."""
    written(tmp_path, os.getpid(), counted(3, queue=7))

    counts = Counts(tmp_path)
    counts.numbers(REQUESTS, *LABELS)[0] += 1
    counts.show()

    told = read(tmp_path / FILE.format(os.getpid()))
    assert {key: numbers.tolist() for key, numbers in told.items()} == {REQUESTS.key(*LABELS): [4]}


def test_versions_of_a_number_that_comes_again_are_known(tmp_path: Path) -> None:
    """Else what its forerunner counted of a version that retired would be told by none, and never forgotten."""
    written(tmp_path, os.getpid(), counted(3))

    counts = Counts(tmp_path)

    assert MODEL in counts.versions()


def test_a_version_is_forgotten_by_those_that_ended_too(tmp_path: Path) -> None:
    """Where it comes back, nothing is added to it that was counted before; who runs forgets by itself."""
    dead = written(tmp_path, ended(), counted(3) | counted(4, version="2"))
    alive = written(tmp_path, os.getppid(), counted(5))
    counts = Counts(tmp_path)
    counts.numbers(REQUESTS, *LABELS)[0] += 1

    counts.forget(MODEL)

    assert [key[2] for key in read(dead) if len(key) > 1] == ["2"]
    assert [key[2] for key in read(alive) if len(key) > 1] == ["1"]
    assert [numbers.tolist() for numbers in counts.total([MODEL]).values()] == [[5]]


def test_without_its_folder_a_worker_counts_on(tmp_path: Path) -> None:
    """It is logged once; what was counted meanwhile is shown once there is a folder again."""
    folder = tmp_path / "counts"
    counts = Counts(folder)
    numbers = counts.numbers(REQUESTS, *LABELS)

    with capture_logs() as logs:
        for _ in range(3):
            numbers[0] += 1
            counts.show()
        with pytest.raises(FileNotFoundError):
            counts.total(EVERYTHING)
        folder.mkdir()
        counts.show()

    assert [(one["log_level"], one["reason"]) for one in logs] == [("warning", "No such file or directory")]
    assert read(folder / FILE.format(os.getpid()))[REQUESTS.key(*LABELS)].tolist() == [3]


@contextmanager
def small_memory(folder: Path, kib: int) -> Iterator[Path]:
    """A folder in memory that has place for so much."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "heed-test", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a folder in memory, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_memory_ends_nobody(tmp_path: Path) -> None:
    """What is shown already is shown on, what is new is counted alone, logged once, and shown once there is place."""
    with small_memory(tmp_path / "memory", 64) as folder:
        counts = Counts(folder)
        numbers = counts.numbers(REQUESTS, *LABELS)
        counts.show()
        with suppress(OSError), (folder / "full").open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * KIB)
        numbers[0] = 1
        counts.show()
        shown = read(folder / FILE.format(os.getpid()))
        with capture_logs() as logs:
            for version in range(2, 40):
                counts.numbers(BATCH, "timeseries", str(version))[0] += 1
                counts.show()
        still_shown = read(folder / FILE.format(os.getpid()))
        (folder / "full").unlink()
        counts.show()
        shown_again = read(folder / FILE.format(os.getpid()))

    assert shown.keys() == still_shown.keys() == {REQUESTS.key(*LABELS)}
    assert shown[REQUESTS.key(*LABELS)].tolist() == [1]
    assert [one["reason"] for one in logs] == ["No space left on device"]
    assert len(shown_again) == 1 + 38
