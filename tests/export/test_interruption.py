"""An export that is interrupted or killed leaves nothing half done."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.export.quick import QUICK_EXPORT, ROOT


@dataclass(frozen=True)
class Interruption:
    """A signal that comes once the export has said that it begins with this."""

    number: signal.Signals
    moment: str


@dataclass(frozen=True)
class Interrupted:
    """What became of the export."""

    status: int
    told: str
    versions: Sequence[Path]


INTERRUPTIONS = [
    Interruption(signal.SIGINT, "Starting"),
    Interruption(signal.SIGINT, "Training"),
    Interruption(signal.SIGINT, "Writing"),
    Interruption(signal.SIGTERM, "Training"),
]
# The other time step tells the label: learnt to the last sample in two seconds, so that what comes next comes soon.
EASY = ["--time-steps", "2", "--features", "1", "--attention-column", "1", "--samples", "30000"]


# Whoever runs the tests in the background ignores Ctrl-C, and so would its children.
AS_IN_A_TERMINAL = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def interrupt(interruption: Interruption, repository: Path) -> Interrupted:
    """Export, and do not let it finish."""
    process = subprocess.Popen(
        [sys.executable, "-c", AS_IN_A_TERMINAL, "-m", "export", "timeseries", "--repository", str(repository), *EASY],
        cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith(interruption.moment))
    process.send_signal(interruption.number)
    _, told = process.communicate(timeout=60)
    return Interrupted(process.returncode, told, list(repository.glob("timeseries/*")))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[Interruption, Interrupted]:
    """All of them, two at a time: each spends its time on starting."""
    repositories = [tmp_path_factory.mktemp("interrupted") for _ in INTERRUPTIONS]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(INTERRUPTIONS, pool.map(interrupt, INTERRUPTIONS, repositories), strict=True))


@pytest.mark.parametrize("interruption", INTERRUPTIONS, ids=lambda one: f"{one.number.name}-{one.moment}")
def test_interrupted_it_leaves_no_version(
    interrupted: dict[Interruption, Interrupted], interruption: Interruption
) -> None:
    """Ctrl-C and SIGTERM while it starts, trains and writes: a line, status 130, no half version, no folder left."""
    became = interrupted[interruption]

    assert became.status == 130, became.told
    assert "Interrupted: nothing was published" in became.told
    assert "Traceback" not in became.told
    assert became.versions == []


def test_killed_while_it_writes_it_leaves_no_process(tmp_path: Path) -> None:
    """SIGKILL reaches the parent alone: the process that writes the file notices and ends."""
    script = tmp_path / "quick_export.py"
    script.write_text(QUICK_EXPORT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "repository")], env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("Writing"))

    process.kill()

    # Read to its end: that comes when the last process that inherited the pipe has gone.
    assert "Published" not in process.communicate(timeout=60)[0]
    assert list((tmp_path / "repository").glob("timeseries/[0-9]*")) == []
