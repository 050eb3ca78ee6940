"""The greeting: it lasts until something is served, without filling the log, whoever answers at the port."""

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service.greeting import greeting_lines
from tests.service.test_main import finished, process


class OtherServer(BaseHTTPRequestHandler):
    """Answers everything, and not in JSON."""

    def do_GET(self) -> None:
        """A page."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def other_port() -> Iterator[int]:
    """The port of another server."""
    with HTTPServer(("127.0.0.1", 0), OtherServer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_answer_of_another_server_is_no_traceback(other_port: int) -> None:
    """The address alone is left of the greeting."""
    assert greeting_lines("127.0.0.1", other_port) == [f"Heed listens on http://127.0.0.1:{other_port}"]


def test_waiting_for_a_model_is_quiet(tmp_path: Path) -> None:
    """With nothing to serve, one warning says so, and the greeting's own requests are not in the log."""
    with process(tmp_path) as started:
        assert started.stderr
        lines: list[str] = []
        while not lines or "no model is served" not in lines[-1]:
            lines.append(started.stderr.readline())
        started.send_signal(signal.SIGTERM)
        status, out, err = finished(started)
    events = [json.loads(line) for line in [*lines, *err.splitlines()]]

    assert (status, out) == (0, "")
    assert [event["event"] for event in events if event["level"] == "warning"] == [
        "no model is served: the repository has none"
    ]
    assert not [event for event in events if event["event"] == "request"]
