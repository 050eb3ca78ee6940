"""The threads that decode and infer, so that the event loop only talks: few, and their queue is each request's own."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from service.call import in_a_task
from service.timing import Timing

Result = TypeVar("Result")


class Threads:
    """Bounded by kind. What is `large` runs alone: a big picture or a long body takes hundreds of megabytes
    while it is decoded, and small ones must not wait behind it. `inference` runs what the batchers give it.
    """

    def __init__(self, cores: int) -> None:
        self._decoding = CapacityLimiter(cores)
        self._decoding_large = CapacityLimiter(1)
        self._specifying = CapacityLimiter(1)
        self.inference = ThreadPoolExecutor(cores, "inference")

    async def decode(self, timing: Timing, function: Callable[[], Result], *, large: bool = False) -> Result:
        """Run `function` in a decoding thread."""
        asked = time.perf_counter()

        def timed() -> Result:
            timing.queue += time.perf_counter() - asked
            return timing.decoding(function)

        await in_a_task()
        return await to_thread.run_sync(timed, limiter=self._decoding_large if large else self._decoding)

    async def specify(self, function: Callable[[], Result]) -> Result:
        """Run `function`, which says how an answer is drawn, in a thread: one at a time, it is all Python."""
        await in_a_task()
        return await to_thread.run_sync(function, limiter=self._specifying)

    def close(self) -> None:
        """What runs ends, what waits does not begin."""
        self.inference.shutdown(wait=False, cancel_futures=True)
