"""A virtual environment for each peer or client, made from its requirements file, made anew where that has changed."""

import compileall
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from benchmarks.processes import ROOT

# What all of them run on. A Python that was built without profiles (PGO), as pyenv does it, takes a quarter more time
# than that of the images and of distributions.
BASE = os.environ.get("BENCH_PYTHON", sys.executable)
PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(sys.prefix) / "peers"


class InstallError(RuntimeError):
    """A peer that cannot be installed. Says what pip said."""


def python_of(peer: str, peers: Path = PEERS) -> Path:
    """The peer's interpreter, with all installed that it needs. `peers`: where its folder is. Raises InstallError."""
    return _installed(Path(sys.prefix) / peers.name / peer, _file(peer, peers))


@cache
def python_of_heed() -> Path:
    """An interpreter with what the service's image has, and no more; the project's bytecode is there, as it is there.
    Raises InstallError.
    """
    for package in ("models", "service"):
        compileall.compile_dir(ROOT / package, quiet=1)
    return _installed(Path(sys.prefix) / "heed", ROOT / "requirements" / "service.txt")


def _installed(folder: Path, requirements: Path) -> Path:
    wanted = f"# {interpreter()}\n{requirements.read_text()}"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {folder.name}", file=sys.stderr)
        made = subprocess.run([BASE, "-m", "venv", "--clear", str(folder)], capture_output=True, text=True)
        if made.returncode:
            raise InstallError(f"{BASE} makes no virtual environment: {made.stdout.strip()}")
        command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r"]
        done = subprocess.run([*command, str(requirements)], capture_output=True, text=True)
        if done.returncode:
            raise InstallError(_last_error(done.stderr))
        stamp.write_text(wanted)
    return python


def _last_error(told: str) -> str:
    # Beside its errors pip tells where it looked, which is this machine's own.
    errors = [line for line in told.splitlines() if line.startswith("ERROR: ")]
    return errors[-1].removeprefix("ERROR: ") if errors else "pip failed without an error"


@cache
def interpreter() -> str:
    """The version and the build of what all of them run on."""
    return subprocess.run([BASE, "-VV"], capture_output=True, text=True, check=True).stdout.strip()


def _file(peer: str, peers: Path) -> Path:
    return peers / peer / "requirements.txt"


def versions(peer: str, peers: Path = PEERS) -> str:
    """What its requirements file pins, in one line."""
    lines = [line.partition("#")[0].strip() for line in _file(peer, peers).read_text().splitlines()]
    return ", ".join(line.replace("==", " ") for line in lines if line)
