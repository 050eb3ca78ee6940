"""What lies in a version's folder: its checksums are checked before anything is held or made of it."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import orjson

from models.layout import CHECKSUMS_FILE, MODEL_FILE, SAMPLES_FILE

# Far more than a version needs; a graph is one protocol buffer, and those end at 2 GiB.
MOST_BYTES = {MODEL_FILE: 2**31, SAMPLES_FILE: 8 * 2**20, CHECKSUMS_FILE: 2**20}
# Who parses samples holds the interpreter, and every request with it: with so many values for 50 ms at most.
MOST_SAMPLE_PARTS = 2**18
CHECKSUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


class RefusedError(ValueError):
    """A version that is not served. The message names the fact, never a place on the server."""


def read_version(
    repository: Path, name: str, version: str, most_model_bytes: int = MOST_BYTES[MODEL_FILE]
) -> "VersionFiles":
    """The files of a version. Raises RefusedError where one is missing, is no regular file of this repository, is too
    large, or is not what SHA256SUMS says.
    """
    most_bytes = {**MOST_BYTES, MODEL_FILE: min(most_model_bytes, MOST_BYTES[MODEL_FILE])}
    folder = _Folder(repository, repository / name / version, most_bytes)
    model_digest = folder.digest(MODEL_FILE)
    checksums = _checksums(folder.read(CHECKSUMS_FILE))
    digest, samples = _checked(MODEL_FILE, model_digest, checksums), None
    if SAMPLES_FILE in checksums or folder.has(SAMPLES_FILE):
        content = folder.read(SAMPLES_FILE)
        digest += _checked(SAMPLES_FILE, hashlib.sha256(content).hexdigest(), checksums)
        samples = _samples(content)
    return VersionFiles(samples, digest, folder, model_digest)


@dataclass(frozen=True)
class VersionFiles:
    """`samples`: the request bodies that came with the graph, as JSON, None where none did. `digest` tells versions
    apart: equal files have equal ones.
    """

    samples: orjson.Fragment | None
    digest: str
    _folder: "_Folder"
    _model_digest: str

    def read_model(self) -> bytes:
        """The graph: what has the checksum, whatever became of the file meanwhile. Raises RefusedError."""
        content = self._folder.read(MODEL_FILE)
        if hashlib.sha256(content).hexdigest() != self._model_digest:
            raise RefusedError(f"{MODEL_FILE} changed while it was read")
        return content


@dataclass(frozen=True)
class _Folder:
    repository: Path
    path: Path
    most_bytes: Mapping[str, int]

    def has(self, name: str) -> bool:
        """Whether there is an entry of this name."""
        return os.path.lexists(self.path / name)

    def read(self, name: str) -> bytes:
        """A whole file. Raises RefusedError."""
        with self._opened(name) as (file, size):
            # No more than was there when it was looked at: it may grow.
            return file.read(size)

    def digest(self, name: str) -> str:
        """The sha256 of a file, which is not held in memory for it. Raises RefusedError."""
        with self._opened(name) as (file, _):
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[BufferedReader, int]]:
        try:
            with open(self.path / name, "rb", opener=_open_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise RefusedError(f"{name} is not a regular file")
                if status.st_size > self.most_bytes[name]:
                    raise RefusedError(f"{name} has {status.st_size} bytes, at most {self.most_bytes[name]} are read")
                # A link may lead to another place of the repository, and to none outside.
                if not (self.path / name).resolve().is_relative_to(self.repository.resolve()):
                    raise RefusedError(f"{name} is a link to a file outside the repository")
                yield file, status.st_size
        except FileNotFoundError as error:
            raise RefusedError(f"there is no {name}") from error
        except OSError as error:
            raise RefusedError(f"{name} cannot be read: {error.strerror}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    # A named pipe would hold its reader until somebody writes.
    return os.open(path, flags | os.O_NONBLOCK)


def _checksums(content: bytes) -> dict[str, str]:
    lines = content.decode("utf-8", "replace").splitlines()
    entries = [CHECKSUM_LINE.fullmatch(line) for line in lines if line.strip()]
    return {entry[2]: entry[1].lower() for entry in entries if entry}


def _checked(name: str, digest: str, checksums: dict[str, str]) -> str:
    if name not in checksums:
        raise RefusedError(f"{CHECKSUMS_FILE} has no line for {name}")
    if digest != checksums[name]:
        raise RefusedError(f"the sha256 of {name} is not the one in {CHECKSUMS_FILE}")
    return digest


def _samples(content: bytes) -> orjson.Fragment:
    parts = sum(map(content.count, (b"[", b"{", b",")))
    if parts > MOST_SAMPLE_PARTS:
        raise RefusedError(f"{SAMPLES_FILE} has about {parts} values, at most {MOST_SAMPLE_PARTS} are read")
    try:
        samples = orjson.loads(content)["samples"]
        told = orjson.dumps(samples)  # what is nested too deeply could not be told
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise RefusedError(f'{SAMPLES_FILE} is not {{"samples": […]}}') from error
    if not isinstance(samples, list):
        raise RefusedError(f'{SAMPLES_FILE} is not {{"samples": […]}}')
    for index, sample in enumerate(samples):
        if not _is_sample(sample):
            raise RefusedError(f'samples[{index}] of {SAMPLES_FILE} is not {{"label": "…", "body": {{…}}}}')
    return orjson.Fragment(told)


def _is_sample(sample: Any) -> bool:
    return isinstance(sample, dict) and isinstance(sample.get("label"), str) and isinstance(sample.get("body"), dict)
