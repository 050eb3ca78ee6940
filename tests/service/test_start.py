"""Starts that cannot be: one line that names the setting, and no traceback."""

import os
from pathlib import Path

import pytest

from tests.service.processes import finished, process


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
