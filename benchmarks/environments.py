"""A virtual environment for each peer or client, made from its requirements file, made anew where that has changed."""

import subprocess
import sys
import venv
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(sys.prefix) / "peers"


class InstallError(RuntimeError):
    """A peer that cannot be installed. Says what pip said."""


def python_of(peer: str, peers: Path = PEERS) -> Path:
    """The peer's interpreter, with all installed that it needs. `peers`: where its folder is. Raises InstallError."""
    folder, wanted = Path(sys.prefix) / peers.name / peer, requirements(peer, peers)
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {peer}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r"]
        done = subprocess.run([*command, str(peers / peer / "requirements.txt")], capture_output=True, text=True)
        if done.returncode:
            raise InstallError(_last_error(done.stderr))
        stamp.write_text(wanted)
    return python


def _last_error(told: str) -> str:
    # Beside its errors pip tells where it looked, which is this machine's own.
    errors = [line for line in told.splitlines() if line.startswith("ERROR: ")]
    return errors[-1].removeprefix("ERROR: ") if errors else "pip failed without an error"


def requirements(peer: str, peers: Path = PEERS) -> str:
    """The text of the peer's requirements file."""
    return (peers / peer / "requirements.txt").read_text()


def versions(peer: str, peers: Path = PEERS) -> str:
    """What its requirements file pins, in one line."""
    lines = [line.partition("#")[0].strip() for line in requirements(peer, peers).splitlines()]
    return ", ".join(line.replace("==", " ") for line in lines if line)
