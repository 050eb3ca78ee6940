"""What is printed once the service is ready: its address, and lines to paste that try it."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from service.tls import context_for_itself

POLL_SECONDS = 0.05
# Loading takes a few seconds; what is not ready by then may never be.
PATIENCE_SECONDS = 5
PATIENT_POLL_SECONDS = 1
REQUEST_SECONDS = 5


@dataclass(frozen=True)
class Address:
    """Where the service is reached from its own machine, and a key for it where it asks for one."""

    host: str
    port: int
    is_tls: bool = False
    key: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{shown}:{self.port}"


def greet_when_ready(listener: Address) -> None:
    """Print to stdout, from a thread of its own that ends with the process."""
    threading.Thread(target=_greet, args=(listener,), name="greeting", daemon=True).start()


def _greet(listener: Address) -> None:
    address = replace(listener, host={"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host))
    started = time.monotonic()
    while not _get(address, "/v2/health/ready"):
        time.sleep(POLL_SECONDS if time.monotonic() - started < PATIENCE_SECONDS else PATIENT_POLL_SECONDS)
    print("\n".join(greeting_lines(address)), flush=True)


def greeting_lines(address: Address) -> list[str]:
    """The lines for what is served now; whoever pastes them sets KEY where a key is asked for."""
    # A certificate names the host that clients know, and this is the address on this machine.
    curl = "curl -s" + (" --insecure" if address.is_tls else "") + (' -H "X-API-Key: $KEY"' if address.key else "")
    lines = [f"Heed listens on {address}"]
    catalogue = _get(address, "/models") or {"models": []}
    tasks = {model["name"]: model["task"] for model in catalogue["models"]}
    samples = _get(address, "/models/timeseries/samples") if tasks.get("timeseries") == "timeseries" else None
    if samples and samples["samples"]:
        body = json.dumps(samples["samples"][0]["body"], separators=(",", ":"))
        lines.append(f"{curl} {address}/predict/timeseries -H 'Content-Type: application/json' -d '{body}'")
    if tasks.get("image") == "image":
        lines.append(f"{curl} -F image=@examples/digit.png {address}/predict/image")
    return lines


def _get(address: Address, path: str) -> Any:
    connection = _connection(address)
    try:
        connection.request("GET", path, headers={"X-API-Key": address.key} if address.key else {})
        response = connection.getresponse()
        content = response.read()
        return json.loads(content) if response.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _connection(address: Address) -> http.client.HTTPConnection:
    if not address.is_tls:
        return http.client.HTTPConnection(address.host, address.port, timeout=REQUEST_SECONDS)
    return http.client.HTTPSConnection(
        address.host, address.port, timeout=REQUEST_SECONDS, context=context_for_itself()
    )
