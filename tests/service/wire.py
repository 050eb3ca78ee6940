"""Requests and answers as bytes on a connection, as a client sends and reads them."""

import http.client
import json
import socket
from typing import Any

from tests.service.conftest import SERIES
from tests.service.patience import PATIENCE_SECONDS

BODY = json.dumps({"sequence": SERIES}).encode()
HEAD = f"POST /predict/timeseries HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


def asked(target: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request's head."""
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: x", *lines, "", ""]).encode()


def connected(port: int) -> socket.socket:
    """A connection of its own."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def begin_request(connection: socket.socket, length: int) -> None:
    """Send the head of a prediction and wait until its body is asked for: from then on the request is running."""
    head = f"POST /predict/timeseries HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}"
    connection.sendall(f"{head}\r\n\r\n".encode())
    assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"


class Unread:
    """What came on a connection; the standard library's client closes it after each answer, and it stays open."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """Not yet."""

    def makefile(self, _: str) -> "Unread":
        """It stands for the connection too."""
        return self


def read_answer(file: Any, method: str = "GET") -> tuple[int, bytes]:
    """Status and body of the next answer."""
    response = http.client.HTTPResponse(Unread(file), method=method)  # type: ignore[arg-type]  # it asks for no more
    response.begin()
    return response.status, response.read()


def answer_on(connection: socket.socket) -> tuple[int, bytes]:
    """The same, on a connection where nothing comes behind it."""
    with connection.makefile("rb") as file:
        return read_answer(file)


def until_closed(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    came = b""
    while chunk := connection.recv(65536):
        came += chunk
    return came


def exchanged(port: int, sent: bytes) -> bytes:
    """What comes back for these bytes until the server closes."""
    with connected(port) as connection:
        connection.sendall(sent)
        return until_closed(connection)


def get(port: int, path: str) -> tuple[int, bytes]:
    """One request on its own connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    connection.request("GET", path)
    response = connection.getresponse()
    status, content = response.status, response.read()
    connection.close()
    return status, content
