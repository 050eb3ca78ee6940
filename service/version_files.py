"""What lies in a version's folder: read whole, its checksums checked, before anything is made of it."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from models.layout import CHECKSUMS_FILE, MODEL_FILE, SAMPLES_FILE

# Far more than a version needs; a graph is one protocol buffer, and those end at 2 GiB.
MOST_BYTES = {MODEL_FILE: 2**31, SAMPLES_FILE: 64 * 2**20, CHECKSUMS_FILE: 2**20}
CHECKSUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


class RefusedError(ValueError):
    """A version that is not served. The message names the fact, never a place on the server."""


@dataclass(frozen=True)
class VersionFiles:
    """The graph, and the request bodies that came with it, None where none did. `digest` tells versions apart: equal
    files have equal ones.
    """

    model: bytes
    samples: list[Any] | None
    digest: str


def read_version(repository: Path, name: str, version: str) -> VersionFiles:
    """The files of a version. Raises RefusedError where one is missing, is no regular file of this repository, or is
    not what SHA256SUMS says.
    """
    folder = _Folder(repository, repository / name / version)
    model = folder.read(MODEL_FILE)
    checksums = _checksums(folder)
    digest = _checked(MODEL_FILE, model, checksums)
    samples = None
    if SAMPLES_FILE in checksums or folder.has(SAMPLES_FILE):
        content = folder.read(SAMPLES_FILE)
        digest += _checked(SAMPLES_FILE, content, checksums)
        samples = _samples(content)
    return VersionFiles(model, samples, digest)


@dataclass(frozen=True)
class _Folder:
    repository: Path
    path: Path

    def has(self, name: str) -> bool:
        """Whether there is an entry of this name."""
        return os.path.lexists(self.path / name)

    def read(self, name: str) -> bytes:
        """A whole file. Raises RefusedError."""
        try:
            with open(self.path / name, "rb", opener=_open_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise RefusedError(f"{name} is not a regular file")
                if status.st_size > MOST_BYTES[name]:
                    raise RefusedError(f"{name} has {status.st_size} bytes, at most {MOST_BYTES[name]} are read")
                # A link may lead to another place of the repository, and to none outside.
                if not (self.path / name).resolve().is_relative_to(self.repository.resolve()):
                    raise RefusedError(f"{name} is a link to a file outside the repository")
                return file.read()
        except FileNotFoundError as error:
            raise RefusedError(f"there is no {name}") from error
        except OSError as error:
            raise RefusedError(f"{name} cannot be read: {error.strerror}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    # A named pipe would hold its reader until somebody writes.
    return os.open(path, flags | os.O_NONBLOCK)


def _checksums(folder: _Folder) -> dict[str, str]:
    lines = folder.read(CHECKSUMS_FILE).decode("utf-8", "replace").splitlines()
    entries = [CHECKSUM_LINE.fullmatch(line) for line in lines if line.strip()]
    return {entry[2]: entry[1].lower() for entry in entries if entry}


def _checked(name: str, content: bytes, checksums: dict[str, str]) -> str:
    if name not in checksums:
        raise RefusedError(f"{CHECKSUMS_FILE} has no line for {name}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != checksums[name]:
        raise RefusedError(f"the sha256 of {name} is not the one in {CHECKSUMS_FILE}")
    return digest


def _samples(content: bytes) -> list[Any]:
    try:
        samples = orjson.loads(content)["samples"]
        orjson.dumps(samples)  # what is nested too deeply could not be told
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise RefusedError(f'{SAMPLES_FILE} is not {{"samples": […]}}') from error
    if not isinstance(samples, list):
        raise RefusedError(f'{SAMPLES_FILE} is not {{"samples": […]}}')
    for index, sample in enumerate(samples):
        if not _is_sample(sample):
            raise RefusedError(f'samples[{index}] of {SAMPLES_FILE} is not {{"label": "…", "body": {{…}}}}')
    return samples


def _is_sample(sample: Any) -> bool:
    return isinstance(sample, dict) and isinstance(sample.get("label"), str) and isinstance(sample.get("body"), dict)
