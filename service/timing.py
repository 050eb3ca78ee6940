"""Where one request's time went: decoding, waiting, the model's run."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class Timing:
    """Seconds of each stage, summed over the parts of one request."""

    decode = 0.0
    queue = 0.0
    inference = 0.0

    def decoding(self, function: Callable[[], Result]) -> Result:
        """Call `function`; the time it takes is decoding."""
        started = time.perf_counter()
        try:
            return function()
        finally:
            self.decode += time.perf_counter() - started

    def server_timing(self) -> bytes:
        """The value of the Server-Timing header, in milliseconds."""
        return b"decode;dur=%.3f, queue;dur=%.3f, inference;dur=%.3f" % (
            self.decode * 1000,
            self.queue * 1000,
            self.inference * 1000,
        )
