"""A server as a process: started on a free port, asked until it answers, measured, stopped with all its children."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
LONGEST_START_SECONDS = 60
LONGEST_STOP_SECONDS = 10
LINES_SHOWN = 15


class StartError(RuntimeError):
    """A server that did not come up. Says what it wrote last."""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    pid: int
    port: int
    ready_seconds: float

    @property
    def address(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}"

    def processes(self) -> list[int]:
        """Its process and all below it, the parent first."""
        return _tree(self.pid)


def free_port() -> int:
    """A port that nobody has. Somebody may take it before it is used; then the start fails and says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], port: int, ready: urllib.request.Request
) -> Iterator[Running]:
    """Start, wait until `ready` is answered with 200, and stop at the end. Raises StartError.

    It works in a folder of its own, since some servers leave files in the one they are started from.
    """
    with TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("w") as output:
            started = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            _wait(process, ready, started, log)
            yield Running(process.pid, port, time.monotonic() - started)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], ready: urllib.request.Request, started: float, log: Path) -> None:
    while not _is_ready(ready):
        if process.poll() is not None or time.monotonic() - started > LONGEST_START_SECONDS:
            reason = f"ended with {process.returncode}" if process.returncode is not None else "did not answer in time"
            last = log.read_text(errors="replace").strip().splitlines()[-LINES_SHOWN:]
            raise StartError(f"{reason}: {last[-1] if last else ''}\n" + "\n".join(last))
        time.sleep(0.005)


def _is_ready(ready: urllib.request.Request) -> bool:
    try:
        with urllib.request.urlopen(ready, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    # The children are noted first: some servers give theirs a session of their own.
    processes = _tree(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGINT)  # some of them do not hear SIGTERM
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LONGEST_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for number in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(below for child in children for below in _tree(int(child)))]
