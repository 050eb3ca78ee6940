"""python -m tests.clients: stock clients, unmodified, ask the service; what they saw is written to RESULTS.md."""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contestants import BY_NAME, HEED, started
from benchmarks.environments import InstallError, python_of
from benchmarks.processes import ROOT, Running, StartError
from models.layout import versions
from service.cores import usable_cores
from tests.clients.oracle import MODELS
from tests.clients.perf_analyzer.load import COMMAND
from tests.clients.report import MARKS, document
from tests.clients.seen import Row
from tests.service.processes import is_worker

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
LONGEST_SCRIPT_SECONDS = 300


@dataclass(frozen=True)
class Script:
    """`client`: its folder here, which has its requirements. `module`: what is run in it, with a service of its own.

    `is_optional`: its maker has no wheel for some systems. `instead`: a variable that names a command which needs none.
    """

    client: str
    module: str
    is_optional: bool = False
    instead: str = ""


SCRIPTS = (
    Script("triton", "calls"),
    Script("triton", "inference"),
    Script("triton", "loading"),
    Script("triton", "in_flight"),
    Script("kserve", "rest"),
    Script("perf_analyzer", "load", is_optional=True, instead=COMMAND),
)


def main() -> None:
    """Run all scripts; ends with 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"))
    names = [f"{script.client}.{script.module}" for script in SCRIPTS]
    parser.add_argument("--only", choices=names, help="one of them; RESULTS.md stays as it is")
    arguments = parser.parse_args()
    # So that the service is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scripts = [it for it in SCRIPTS if arguments.only in (None, f"{it.client}.{it.module}")]
    rows = [_shown(row) for script in scripts for row in _rows(script, arguments.repository)]
    text = document(rows, sorted({script.client for script in scripts}))
    if not arguments.only:
        RESULTS.write_text(text)
    print(text)
    sys.exit(any(row.is_right is False for row in rows))


def _shown(row: Row) -> Row:
    print(f"{MARKS[row.is_right] or 'right: '}{row.client} {row.called}: {row.seen}", file=sys.stderr, flush=True)
    return row


def _rows(script: Script, repository: Path) -> Iterator[Row]:
    """What a script saw."""
    told = f"tests.clients.{script.client}.{script.module}"
    try:
        python = sys.executable if os.environ.get(script.instead) else python_of(script.client, HERE)
        with _copy(repository) as served, _service(served) as server:
            workers = _workers(server)
            address = server.address.removeprefix("http://")
            yield from _run([str(python), "-m", told, address, str(served), *workers])
            if _workers(server) != workers:
                yield Row(script.client, told, "a worker of the service ended meanwhile", False)
    except InstallError as error:
        seen = f"it cannot be installed on {' '.join(platform.libc_ver())}: {error}"
        yield Row(script.client, told, seen, None if script.is_optional else False)
    except (StartError, subprocess.TimeoutExpired) as error:
        yield Row(script.client, told, f"{type(error).__name__}: {str(error).splitlines()[0]}", False)


def _workers(server: Running) -> list[str]:
    return [str(process) for process in server.processes() if is_worker(process)]


def _run(command: list[str]) -> Iterator[Row]:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=LONGEST_SCRIPT_SECONDS)
    rows = [Row(**json.loads(line)) for line in done.stdout.splitlines()]
    yield from rows
    if not rows or bool(done.returncode) == all(row.is_right for row in rows):
        yield Row(command[2], "the script itself", f"it ended with {done.returncode}", False)


@contextmanager
def _copy(repository: Path) -> Iterator[Path]:
    """A copy, which the scripts may change: of both models the newest version, as version 1."""
    with TemporaryDirectory() as folder:
        for model in MODELS:
            newest = str(versions(repository / model)[-1])
            shutil.copytree(repository / model / newest, Path(folder, model, "1"))
        yield Path(folder)


@contextmanager
def _service(repository: Path) -> Iterator[Running]:
    with started(BY_NAME[HEED], repository, usable_cores(), {"HEED_MODEL_CONTROL": "explicit"}) as server:
        yield server


if __name__ == "__main__":
    main()
