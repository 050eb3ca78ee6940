"""The running service, as the scripts are told of it."""

import argparse
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_ANSWER_SECONDS = 10  # whatever takes longer hangs


@dataclass(frozen=True)
class Asked:
    """Where it listens (host:port), the folder that it serves, and its workers' process numbers."""

    address: str
    repository: Path
    workers: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """An answer as it came, asked for without any client library."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


def asked_from_arguments(description: str | None) -> Asked:
    """From the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("address")
    parser.add_argument("repository", type=Path)
    parser.add_argument("workers", type=int, nargs="*")
    arguments = parser.parse_args()
    return Asked(arguments.address, arguments.repository, tuple(arguments.workers))


def plainly(address: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """One request over a connection of its own: a POST where there is a body."""
    connection = http.client.HTTPConnection(address, timeout=LONGEST_ANSWER_SECONDS)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    finally:
        connection.close()
