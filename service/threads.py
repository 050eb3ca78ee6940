"""The threads that decode and infer, so that the event loop only talks: few, and their queue is each request's own."""

import time
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from service.timing import Stage, Timing

Result = TypeVar("Result")


class Threads:
    """Bounded by kind. What is `large` runs alone: a big picture or a long body takes hundreds of megabytes
    while it is decoded, and small ones must not wait behind it.
    """

    def __init__(self, cores: int) -> None:
        self._decoding = CapacityLimiter(cores)
        self._decoding_large = CapacityLimiter(1)
        self._inference = CapacityLimiter(cores)

    async def decode(self, timing: Timing, function: Callable[[], Result], *, large: bool = False) -> Result:
        """Run `function` in a decoding thread."""
        return await _run(self._decoding_large if large else self._decoding, timing, "decode", function)

    async def infer(self, timing: Timing, function: Callable[[], Result]) -> Result:
        """Run `function` in an inference thread."""
        return await _run(self._inference, timing, "inference", function)


async def _run(limiter: CapacityLimiter, timing: Timing, stage: Stage, function: Callable[[], Result]) -> Result:
    asked = time.perf_counter()

    def timed() -> Result:
        timing.add("queue", time.perf_counter() - asked)
        with timing.measure(stage):
            return function()

    return await to_thread.run_sync(timed, limiter=limiter)
