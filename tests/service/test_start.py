"""Starts that cannot be: one line that names the setting, and no traceback."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.runtime_directory import PREFIX, SHARED_MEMORY
from tests.service.patience import wait_until
from tests.service.processes import finished, greeting, logged, process, workers_of


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "a folder is expected, the value is empty"),
        ("a" * 5000, "cannot be read: File name too long"),
        (os.fsdecode(b"/tmp/\xff"), r"there is no folder '/tmp/\udcff'"),
    ],
)
def test_repository_that_cannot_be_is_told(tmp_path: Path, value: str, told: str) -> None:
    """Also where the path itself is the trouble; the working directory is never served by accident."""
    with process(tmp_path, HEED_MODEL_REPOSITORY=value) as started:
        status, out, err = finished(started)

    assert (status, out) == (2, "")
    assert err.startswith("HEED_MODEL_REPOSITORY: ")
    assert told in err
    assert len(err.splitlines()) == 1
    assert len(err) < 400


@pytest.mark.parametrize("host", ["a..b", "a" * 80, " "])
def test_host_that_cannot_be_is_told(tmp_path: Path, host: str) -> None:
    """No name at all, and a label longer than names allow."""
    with process(tmp_path, HEED_HOST=host) as started:
        status, out, err = finished(started)

    assert (status, out) == (3, "")
    assert err.startswith(f"HEED_HOST, HEED_PORT: cannot listen on {host}:0: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_service_whose_workers_cannot_start_ends(one_model: Path, tmp_path: Path, workers: str) -> None:
    """With a status that is no success, and a last line that says so."""
    (tmp_path / "onnxruntime.py").write_text("raise RuntimeError('no such processor')")
    with process(one_model, HEED_WORKERS=workers, PYTHONPATH=str(tmp_path)) as started:
        status, out, err = finished(started)

    last = json.loads(err.splitlines()[-1])
    assert (status, out) == (1, "")
    assert (last["level"], last["event"]) == ("critical", "the service cannot answer and ends; the lines above say why")
    assert "no such processor" in err


@pytest.fixture(scope="module")
def two_workers(one_model: Path) -> Iterator["subprocess.Popen[str]"]:
    """A service that is ready."""
    with process(one_model, HEED_WORKERS="2") as started:
        greeting(started, 1)
        yield started


def test_nothing_in_memory_outlives_a_service_that_is_killed(two_workers: "subprocess.Popen[str]") -> None:
    """What its processes share has no name there, or lies in its folder, which the next start sweeps."""
    processes = [two_workers.pid, *workers_of(two_workers)]
    maps = "".join(Path(f"/proc/{one}/maps").read_text() for one in processes)

    in_memory = [line for line in maps.splitlines() if f"{SHARED_MEMORY}/" in line]
    assert in_memory
    assert not [line for line in in_memory if PREFIX not in line and not line.endswith("(deleted)")]


def test_worker_that_ended_is_replaced_and_told_about(two_workers: "subprocess.Popen[str]") -> None:
    """By which signal; the other one answers on."""
    killed, other = workers_of(two_workers)
    os.kill(killed, signal.SIGKILL)
    line = logged(two_workers, "worker ended", 1)[-1]
    wait_until(lambda: len(workers_of(two_workers)) == 2)

    assert (line["level"], line["process"], line["how"]) == ("error", killed, "SIGKILL")
    assert other in workers_of(two_workers)
