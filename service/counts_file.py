"""What one worker has counted, in a file that the others read."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import orjson

from service.series import Counted, Key, is_known

ALIGNED_BYTES = 8
VALUE = np.dtype(np.float64)


class CountsFile:
    """Written by its worker alone: a line of JSON that says which numbers follow, and the numbers. They are written
    where they stand, on pages that are there already; where others come or go, the file is made anew. Nothing of it is
    mapped: to write into a mapped page for which memory has no place ends the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None
        self._keys: list[Key] = []
        self._first = 0
        self._written = b""

    def write(self, counted: Counted) -> None:
        """What is read from now on. Raises OSError, and what was read before is read on."""
        items = list(counted.items())  # at once: another thread may add to them
        keys = [key for key, _ in items]
        values = b"".join([numbers.tobytes() for _, numbers in items])
        if self._handle is None or keys != self._keys:
            self._renew(keys, [len(numbers) for _, numbers in items], values)
        elif values != self._written:
            _put(self._handle, values, self._first)
        self._written = values

    def _renew(self, keys: list[Key], sizes: list[int], values: bytes) -> None:
        head = _head(keys, sizes)
        handle = replaced(self._path, head + values)
        if self._handle is not None:
            os.close(self._handle)
        self._handle, self._keys, self._first = handle, keys, len(head)


def content_of(counted: Counted) -> bytes:
    """A whole file."""
    return _head(list(counted), [len(numbers) for numbers in counted.values()]) + b"".join(
        map(np.ndarray.tobytes, counted.values())
    )


def read(path: Path) -> Counted:
    """A file's numbers; those left out that a worker of another release has counted otherwise. Raises OSError."""
    head, _, values = path.read_bytes().partition(b"\n")
    numbers = np.frombuffer(values, VALUE).copy()
    counted: Counted = {}
    first = 0
    for size, *parts in orjson.loads(head):
        key = tuple(parts)
        if is_known(key, size):
            counted[key] = numbers[first : first + size]
        first += size
    return counted


def replaced(path: Path, content: bytes) -> int:
    """A file in this one's place, whole or not at all; its handle, which is the caller's. Raises OSError."""
    # Named so that it is not read, and emptied with the others where its writer was killed.
    new = path.with_name(f".{os.getpid()}.{path.name}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _put(handle, content, 0)
        new.replace(path)
    except BaseException:
        os.close(handle)
        with suppress(OSError):
            new.unlink()
        raise
    return handle


def _head(keys: list[Key], sizes: list[int]) -> bytes:
    head = orjson.dumps([(size, *key) for key, size in zip(keys, sizes, strict=True)])
    # Each number stands where the machine reads it at once, never half of it old.
    return head + b" " * (-(len(head) + 1) % ALIGNED_BYTES) + b"\n"


def _put(handle: int, content: bytes, place: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(handle, left, place)
        left, place = left[written:], place + written
