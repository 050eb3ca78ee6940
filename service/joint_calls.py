"""Calls that ask for the same while none of them has begun: one is made, and answers all."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

# Told by a call when it begins: who comes from then on is not answered by it.
Begin = Callable[[], None]


class JointCalls:
    """Of each name at most one call waits to begin."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Joint] = {}

    async def call(self, name: str, act: Callable[[Begin], Coroutine[Any, Any, None]]) -> None:
        """Join the call that waits, or make one; raises what it raises. Once all its callers are cancelled, it is."""
        joint = self._waiting.get(name)
        if joint is None:
            joint = self._waiting[name] = _Joint(asyncio.create_task(act(lambda: self._close(name))))
        joint.callers += 1
        try:
            await asyncio.shield(joint.task)
        finally:
            joint.callers -= 1
            if not joint.callers:
                joint.task.cancel()
                if self._waiting.get(name) is joint:
                    self._close(name)

    def _close(self, name: str) -> None:
        del self._waiting[name]


@dataclass(eq=False)
class _Joint:
    """One call, and how many wait for it."""

    task: "asyncio.Task[None]"
    callers: int = 0
