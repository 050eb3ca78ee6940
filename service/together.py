"""What requests that began together ask for alike is done in a row: a processor takes half as long for what it has just
done, and between the bodies of two requests lies all the rest of their way.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from service.admission import Admission
from service.call import Outcome
from service.exchange import Exchange

Result = TypeVar("Result")


class Together:
    """Short bodies that coroutines wait for are read here: those of one turn of the event loop one after another, until
    which each takes one of the places. Where there is no coroutine, prompt_calls.py does the same.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._bodies: list[_Body] = []

    async def decode(self, exchange: Exchange, function: Callable[[], Result]) -> Result:
        """What `function` gives, which reads the body. Raises what it raises; Overloaded where no place is left."""
        if self._is_alone():
            return exchange.decoding(function)
        body = _Body(exchange, function)
        self._line_up(body)
        result: Result = await body
        return result

    def _is_alone(self) -> bool:
        # Who began alone, the last time, has had nobody to wait for: likely it is so again.
        return self._admission.together <= 1

    def _line_up(self, body: "_Body") -> None:
        self._admission.enter(1)
        if not self._bodies:
            body.exchange.loop.call_soon(self._decode_all)
        self._bodies.append(body)

    def _decode_all(self) -> None:
        bodies, self._bodies = self._bodies, []
        for body in bodies:
            body.decode()
        # The places are free for what the requests do next.
        self._admission.leave(len(bodies))
        for body in bodies:
            body.tell()


class _Body(Outcome[Any]):
    """What will be known of one request's body."""

    _result: Any = None
    _wrong: Exception | None = None

    def __init__(self, exchange: Exchange, function: Callable[[], Any]) -> None:
        self.exchange = exchange
        self._function = function
        self._since = time.perf_counter()

    def decode(self) -> None:
        """Read it, if somebody still waits for it."""
        if self.done():
            return
        self.exchange.queue += time.perf_counter() - self._since
        try:
            self._result = self.exchange.decoding(self._function)
        except Exception as error:  # noqa: BLE001  # the edge: told to whoever waits
            self._wrong = error

    def tell(self) -> None:
        """Say what came of it."""
        if self.done():
            return
        if self._wrong is None:
            self.set_result(self._result)
        else:
            self.set_exception(self._wrong)
