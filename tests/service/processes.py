"""python -m service as a process of its own, and its workers: started, listened to, ended with the test."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.service.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]


def process(repository: Path, **settings: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """The service on a free port, ended with the block."""
    return process_in(ROOT, repository, **settings)


@contextmanager
def process_in(root: Path, repository: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """The same, with the code of another folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEED_")}
    environment |= {
        "HEED_MODEL_REPOSITORY": str(repository),
        "HEED_PORT": "0",
        "HEED_WORKERS": "1",
        "HEED_MODEL_TRIAL_SECONDS": "0",
        **settings,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "service"],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        try:
            yield started
        finally:
            kill(started)


def kill(started: subprocess.Popen[str]) -> None:
    """The process and its workers: it has a group of its own, as a terminal makes it."""
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)


@contextmanager
def patience(started: subprocess.Popen[str]) -> Iterator[None]:
    """What is waited for in the block must come in time; else the process is killed, and the waiting ends."""
    timer = threading.Timer(PATIENCE_SECONDS, kill, [started])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def greeting(started: subprocess.Popen[str], lines: int = 3) -> list[str]:
    """What is printed once it is ready."""
    assert started.stdout
    with patience(started):
        return [started.stdout.readline().strip() for _ in range(lines)]


def port_of(lines: list[str]) -> int:
    """The port in the first line."""
    return int(lines[0].rpartition(":")[2])


def logged(started: subprocess.Popen[str], event: str, times: int) -> list[dict[str, Any]]:
    """The log from here until this event came that many times."""
    assert started.stderr
    events: list[dict[str, Any]] = []
    with patience(started):
        while sum(one["event"] == event for one in events) < times:
            line = started.stderr.readline()
            assert line, f"the process ended before '{event}'"
            events.append(json.loads(line))
    return events


def finished(started: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, and what is left of stdout and stderr."""
    assert started.stdout
    assert started.stderr
    with patience(started):
        out, err = started.stdout.read(), started.stderr.read()
        return started.wait(), out, err


def workers_of(started: "subprocess.Popen[str]") -> list[int]:
    """Their process numbers; the parent may have another child, which loads nothing."""
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    return [int(child) for child in children if is_worker(int(child))]


def is_worker(process_id: int) -> bool:
    """Whether it has loaded what runs the models."""
    try:
        return "onnxruntime" in Path(f"/proc/{process_id}/maps").read_text()
    except OSError:  # it has ended meanwhile
        return False


@contextmanager
def halted(process_id: int) -> Iterator[None]:
    """In this block the process does nothing: whoever asks is answered by another."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)
