"""One request to a service in its own process, with a JSON answer."""

import http.client
import json
from typing import Any

from tests.service.patience import PATIENCE_SECONDS


def asked(port: int, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    """Status and document of a POST, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content)
