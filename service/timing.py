"""Where one request's time went: decoding, waiting, the model's run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Stage = Literal["decode", "queue", "inference"]


@dataclass
class Timing:
    """Seconds of each stage, summed over the parts of one request."""

    decode: float = 0.0
    queue: float = 0.0
    inference: float = 0.0

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def add(self, stage: Stage, seconds: float) -> None:
        """Add time that was measured elsewhere."""
        setattr(self, stage, getattr(self, stage) + seconds)

    def server_timing(self) -> bytes:
        """The value of the Server-Timing header, in milliseconds."""
        return (
            f"decode;dur={self.decode * 1000:.3f}, queue;dur={self.queue * 1000:.3f}, "
            f"inference;dur={self.inference * 1000:.3f}"
        ).encode()
