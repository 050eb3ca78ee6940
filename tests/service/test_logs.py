"""Log lines: one JSON object a line, other libraries' lines too, and no variables of failed frames."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import logging, sys, warnings
import structlog
from service.logs import configure_logging
configure_logging("info")
secret_input = "do-not-log"
structlog.get_logger("service").info("ours", count=1)
logging.getLogger("uvicorn.error").info("theirs %d", 2, extra={"color_message": "colours"})
logging.getLogger("uvicorn.error").debug("too quiet")
warnings.warn("careful")
def fail(value):
    raise ValueError("failed")
try:
    fail(secret_input)
except ValueError:
    structlog.get_logger("service").exception("broken")
"""


def test_every_line_is_json() -> None:
    """Ours, uvicorn's, warnings and tracebacks, each with level, logger and time."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)

    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert ran.stdout == ""
    assert [line["event"].split()[0] for line in lines[:2]] == ["ours", "theirs"]
    assert len(lines) == 4
    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    assert "ValueError: failed" in lines[3]["exception"]
    assert "do-not-log" not in ran.stderr
    assert "colours" not in ran.stderr
