"""The greeting: it lasts until something is served, without filling the log, whoever answers at the port."""

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service.greeting import Address, greeting_lines
from tests.service.processes import finished, process


class OtherServer(BaseHTTPRequestHandler):
    """Answers everything, and not in JSON; the key that it was last asked with is its own."""

    last_key: str | None = None

    def do_GET(self) -> None:
        """A page."""
        OtherServer.last_key = self.headers["X-API-Key"]
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
    assert greeting_lines(Address("127.0.0.1", other_port)) == [f"Heed listens on http://127.0.0.1:{other_port}"]


def test_key_is_given_and_not_printed(other_port: int) -> None:
    """Where a key is asked for, the greeting asks with it, and nothing that is printed has it."""
    address = Address("127.0.0.1", other_port, key="a-key-that-nobody-sees")

    assert greeting_lines(address) == [f"Heed listens on http://127.0.0.1:{other_port}"]
    assert OtherServer.last_key == "a-key-that-nobody-sees"
    assert "nobody" not in repr(address)


def test_address_is_one_to_paste() -> None:
    """With the scheme that is spoken, and IPv6 in brackets."""
    assert str(Address("::1", 80)) == "http://[::1]:80"
    assert str(Address("localhost", 443, is_tls=True)) == "https://localhost:443"


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
