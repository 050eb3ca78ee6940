"""The service while one of its models is still loading, for as long as the test wants."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.pace import Pace
from service.session import Session
from service.settings import Settings
from tests.service.client import Client, running


@contextmanager
def loading(settings: Settings, version: Path) -> Iterator[tuple[Client, Callable[[], None]]]:
    """The service, and what lets the model of the folder `version` load, and those after it."""
    held, may_load = (version / "model.onnx").read_bytes(), threading.Event()

    def load_graph(model: bytes, pace: Pace | None) -> Session:
        if model == held:
            may_load.wait()
        return Session(model, pace)

    with running(settings, is_loaded=False, load_graph=load_graph) as client:
        try:
            yield client, may_load.set
        finally:
            may_load.set()
