"""The service in this process while its runs wait, for as long as the test wants."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.app import create_app
from service.pace import Pace
from service.session import Session, Tensor, Tensors
from service.settings import Settings
from tests.service.conftest import SERIES
from tests.service.listening import Listening, listening
from tests.service.patience import PATIENCE_SECONDS, wait_until
from tests.service.wire import answer_on, asked

# 32 rows are as quick as one, and none is short enough for the event loop: one run at a time, in a thread.
SLOW = Pace({1: 1.0, 32: 1.0}, row_values=20, long_values=20, long_seconds=1.0)


class Runs:
    """The runs of a model: which requests, by their number, were in each. They wait until they may end."""

    def __init__(self) -> None:
        self.numbers: list[list[int]] = []
        self._may_end = threading.Event()

    def hold(self, rows: Tensor) -> None:
        """A run has begun."""
        self.numbers.append([int(row[0, 0]) for row in rows])
        assert self._may_end.wait(PATIENCE_SECONDS), "the test has not let it go"

    def let_go(self) -> None:
        """All may end, those that come too."""
        self._may_end.set()


class HeldSession(Session):
    """A real session; once it is loaded, its runs wait."""

    _runs: Runs | None = None

    def __init__(self, model: bytes, runs: Runs) -> None:
        super().__init__(model, SLOW)
        self.pace = SLOW
        self._runs = runs

    def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
        """The real outputs, when they may be had."""
        if self._runs is not None:
            self._runs.hold(rows)
        return super().run(rows, outputs)


@dataclass(frozen=True)
class Held:
    """A service whose runs wait."""

    listening: Listening
    runs: Runs
    stack: ExitStack

    def connected(self) -> socket.socket:
        """A connection, closed with the service."""
        return self.stack.enter_context(self.listening.connected())

    def predict(self, number: int, *lines: str) -> socket.socket:
        """A connection that has asked for a prediction."""
        return self.send(prediction(number, *lines))

    def send(self, request: bytes) -> socket.socket:
        """A connection that has asked for something."""
        connection = self.connected()
        connection.sendall(request)
        return connection

    def fill(self, numbers: Sequence[int]) -> list[socket.socket]:
        """One request that runs, and those after it that wait, in this order."""
        running = self.predict(numbers[0])
        wait_until(lambda: self.runs.numbers == [[numbers[0]]])
        return [running, *(self.waiting(number, place) for place, number in enumerate(numbers[1:], start=1))]

    def waiting(self, number: int, place: int) -> socket.socket:
        """A connection whose request waits, so many with it."""
        connection = self.predict(number)
        wait_until(lambda: self.listening.admission.waiting == place)
        return connection


@contextmanager
def held(repository: Path, **settings: Any) -> Iterator[Held]:
    """The service in this process, behind a socket."""
    runs = Runs()
    app = create_app(Settings(model_repository=repository, **settings), lambda model, pace: HeldSession(model, runs))
    with listening(app) as server, ExitStack() as stack:
        stack.callback(runs.let_go)
        service = Held(server, runs, stack)
        wait_until(lambda: get(service, "/v2/health/ready")[0] == 200)
        yield service


def prediction(number: int, *lines: str) -> bytes:
    """A whole request for a prediction; its number is its series' first value."""
    body = json.dumps({"sequence": [[number, 0], *SERIES[1:]]}).encode()
    return head(len(body), *lines) + body


def inference(number: int, *lines: str, **parameters: Any) -> bytes:
    """A whole request of the protocol; its number is its series' first value."""
    series = [number, 0, *(value for step in SERIES[1:] for value in step)]
    given = {"name": "sequence", "shape": [1, 10, 2], "datatype": "FP32", "data": series}
    body = json.dumps({"inputs": [given], "parameters": parameters}).encode()
    return asked("/v2/models/timeseries/infer", f"Content-Length: {len(body)}", *lines, method="POST") + body


def head(length: int, *lines: str) -> bytes:
    """A prediction's, without its body."""
    return asked("/predict/timeseries", f"Content-Length: {length}", *lines, method="POST")


def get(service: Held, path: str) -> tuple[int, bytes]:
    """One request, on a connection of its own."""
    with service.listening.connected() as connection:
        connection.sendall(asked(path, "Connection: close"))
        return answer_on(connection)


def statuses(connections: Sequence[socket.socket]) -> list[int]:
    """Of the next answer on each."""
    return [answer_on(connection)[0] for connection in connections]


def counted(service: Held, outcome: str) -> int:
    """How many requests had this outcome, as the metrics tell."""
    lines = get(service, "/metrics")[1].decode().splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if f'outcome="{outcome}"' in line)
