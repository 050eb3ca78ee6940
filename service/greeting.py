"""What is printed once the service is ready: its address, and lines to paste that try it."""

import http.client
import json
import threading
import time
from typing import Any

POLL_SECONDS = 0.05
# Loading takes a few seconds; what is not ready by then may never be.
PATIENCE_SECONDS = 5
PATIENT_POLL_SECONDS = 1
REQUEST_SECONDS = 5


def greet_when_ready(host: str, port: int, workers: int) -> None:
    """Print to stdout, from a thread of its own that ends with the process."""
    threading.Thread(target=_greet, args=(host, port, workers), name="greeting", daemon=True).start()


def _greet(host: str, port: int, workers: int) -> None:
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    in_a_row = 0
    started = time.monotonic()
    # Connections spread over the workers by chance: several answers in a row, so that most likely all are ready.
    while in_a_row < 2 * workers:
        in_a_row = in_a_row + 1 if _get(reached, port, "/v2/health/ready") else 0
        time.sleep(POLL_SECONDS if time.monotonic() - started < PATIENCE_SECONDS else PATIENT_POLL_SECONDS)
    print("\n".join(greeting_lines(reached, port)), flush=True)


def greeting_lines(host: str, port: int) -> list[str]:
    """The lines for what is served now."""
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    lines = [f"Heed listens on {address}"]
    catalogue = _get(host, port, "/models") or {"models": []}
    tasks = {model["name"]: model["task"] for model in catalogue["models"]}
    samples = _get(host, port, "/models/timeseries/samples") if tasks.get("timeseries") == "timeseries" else None
    if samples and samples["samples"]:
        body = json.dumps(samples["samples"][0]["body"], separators=(",", ":"))
        lines.append(f"curl -s {address}/predict/timeseries -H 'Content-Type: application/json' -d '{body}'")
    if tasks.get("image") == "image":
        lines.append(f"curl -s -F image=@examples/digit.png {address}/predict/image")
    return lines


def _get(host: str, port: int, path: str) -> Any:
    connection = http.client.HTTPConnection(host, port, timeout=REQUEST_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
        return json.loads(content) if response.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
