"""What the servers are asked: bodies from the models' own samples."""

import base64
import json
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """A path with its query, and a body."""

    name: str
    path: str
    media_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def at(self, address: str) -> urllib.request.Request:
        """As a request to one server."""
        headers = {"Content-Type": self.media_type, **self.headers}
        return urllib.request.Request(address + self.path, self.body, headers)

    def raw(self, address: str) -> bytes:
        """As the bytes of a request to one server. A Content-Length among its headers stands, true or not."""
        headers = {
            "Host": address.removeprefix("http://"),
            "Content-Type": self.media_type,
            "Content-Length": str(len(self.body)),
            **self.headers,
        }
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + self.body


def series_questions(repository: Path) -> list[Question]:
    """Every sample of the time-series model."""
    return [
        Question("time series", "/predict/timeseries", "application/json", json.dumps(body).encode())
        for body in _samples(repository, "timeseries")
    ]


def picture_questions(repository: Path) -> list[Question]:
    """Every sample of the image model, as the PNG file itself."""
    return [
        Question("40×40 PNG", "/predict/image", "image/png", base64.b64decode(body["image"]))
        for body in _samples(repository, "image")
    ]


def _samples(repository: Path, model: str) -> list[dict[str, str]]:
    document = json.loads((repository / model / "1" / "samples.json").read_text())
    return [sample["body"] for sample in document["samples"]]
