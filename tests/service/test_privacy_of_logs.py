"""What must not reach a log: inputs that a library tells of, and control characters that a caller sends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from service.app import create_app
from service.exchange import with_request
from service.settings import Settings
from tests.service.test_logs import ROOT
from tests.service.test_request_log import call

PROGRAM = """
import io, logging
import structlog
from PIL import Image, TiffImagePlugin
from service.logs import configure_logging
configure_logging("{level}")
directory = TiffImagePlugin.ImageFileDirectory_v2()
directory[270] = "do-not-log"
content = io.BytesIO()
Image.new("L", (2, 2)).save(content, "TIFF", tiffinfo=directory)
Image.open(content).load()
for name in ("service.x", "uvicorn.error", "asyncio", "python_multipart.multipart", "PIL.Image"):
    for level in ("debug", "warning", "error"):
        getattr(logging.getLogger(name), level)("%s %s", name, level)
structlog.get_logger("service.y").debug("service.y debug")
"""
OTHERS = ("asyncio", "python_multipart.multipart", "PIL.Image")


@pytest.mark.parametrize("level", ["debug", "error"])
def test_only_our_own_loggers_follow_the_setting(level: str) -> None:
    """Libraries log from warnings on, and what Pillow reads in a picture is in no line."""
    program = PROGRAM.format(level=level)
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    events = [json.loads(line)["event"] for line in ran.stderr.splitlines()]

    assert "do-not-log" not in ran.stderr
    own = [f"{name} {one}" for name in ("service.x", "uvicorn.error") for one in ("debug", "warning", "error")]
    if level == "debug":
        others = [f"{name} {one}" for name in OTHERS for one in ("warning", "error")]
        assert events == [*own, *others, "service.y debug"]
    else:
        assert events == [f"{name} error" for name in ("service.x", "uvicorn.error", *OTHERS)]


@pytest.mark.parametrize(
    ("given", "is_bound"),
    [
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        (b"00-\x1b[31mred", False),
        (b"00-a b", False),
        (b"00-\xe9", False),
        (b"", False),
        (b"0" * 257, False),
    ],
)
def test_trace_is_bound_where_it_is_printable(tmp_path: Path, given: bytes, is_bound: bool) -> None:
    """In a log line it may reach a terminal."""
    app = create_app(Settings(model_repository=tmp_path))
    with structlog.testing.capture_logs([with_request]) as lines:
        call(app, "/nope", b"", [(b"traceparent", given)])

    assert [line.get("traceparent") for line in lines] == [given.decode() if is_bound else None]


def test_health_is_asked_quietly(tmp_path: Path) -> None:
    """Its access lines are for debugging."""
    app = create_app(Settings(model_repository=tmp_path))
    with structlog.testing.capture_logs() as lines:
        for path in ("/v2/health/live", "/v2/health/ready", "/models"):
            call(app, path, b"", [])

    assert [line["log_level"] for line in lines if line["event"] == "request"] == ["debug", "debug", "info"]
