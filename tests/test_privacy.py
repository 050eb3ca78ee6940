"""Nobody but its owner hears of a model: onnxruntime's own reports are off wherever Heed imports it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def kept_after(imported: str, home: Path) -> list[str]:
    """The files that a process which imports this leaves in a home of its own, with nothing set in its environment."""
    bare = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", f"import {imported}"], env=bare, check=True)
    return [file.name for file in home.rglob("*") if file.is_file()]


@pytest.mark.parametrize("imported", ["service.session", "service.app", "export.checks"])
def test_no_report_is_made(imported: str, tmp_path: Path) -> None:
    """No identifier of the machine is kept, and no queue of what should be sent."""
    assert kept_after(f"{imported}, onnxruntime", tmp_path) == []


def test_without_that_onnxruntime_makes_them(tmp_path: Path) -> None:
    """Once it does not any more, nothing need be set, and this test goes with the setting."""
    assert "deviceid" in kept_after("onnxruntime", tmp_path)
