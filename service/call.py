"""A request that the connection answers itself: until it waits for more than a batch, no task is made for it."""

import asyncio
import contextvars
import types
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

import structlog

from service.exchange import CURRENT, NOW, Exchange

Known = TypeVar("Known")


class Call(ABC):
    """A coroutine, driven from where it begins and from where an Outcome that it awaits is known. What else it awaits
    is awaited by a task, which carries it on to its end. It is cancelled as a task is.
    """

    # Whether its time is: deadline.py.
    is_over = False
    _awaited: "Outcome[Any] | None" = None
    _task: asyncio.Task[None] | None = None
    # How often it was asked to end, and what is thrown for that where it waits.
    _asked = 0
    _thrown: asyncio.CancelledError | None = None

    def __init__(self, exchange: Exchange, coroutine: Coroutine[Any, Any, Any], among: set[Any]) -> None:
        """`among`: all that run, for whoever stops the server."""
        self.exchange = exchange
        self._coroutine = coroutine
        self._among = among
        among.add(self)

    @abstractmethod
    def ended(self, result: Any, error: BaseException | None) -> None:
        """The coroutine came to its end. Its log lines are the request's, as those of the coroutine are."""

    def go_on(self) -> None:
        """Begin, or go on now that what was awaited is known."""
        self._awaited = None
        before, NOW.call = NOW.call, self
        try:
            if self._thrown is None:
                waits_for = self._coroutine.send(None)
            else:
                thrown, self._thrown = self._thrown, None
                waits_for = self._coroutine.throw(thrown)
        except StopIteration as end:
            self._end(end.value, None)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # told to whoever is answered
            self._end(None, error)
        else:
            if isinstance(waits_for, Outcome):
                self._awaited = waits_for
                waits_for.caller = self
            else:
                self._hand_over(waits_for)
        finally:
            NOW.call = before

    def _hand_over(self, waits_for: Any) -> None:
        context = contextvars.copy_context()
        context.run(CURRENT.set, self.exchange)
        self.exchange.loop.create_task(self._carry_on(waits_for), context=context)

    def cancel(self, msg: Any = None) -> bool:
        """As a task's: CancelledError is thrown where it waits, in the next turn of the loop."""
        if self._task is not None:
            return self._task.cancel(msg)
        self._asked += 1
        self._thrown = cancelled(msg)
        if self._awaited is not None:
            self._awaited.leave()
        self.exchange.loop.call_soon(self._throw)
        return True

    def uncancel(self) -> int:
        """As a task's: one of those who asked it to end is heard; how many are left."""
        if self._asked:
            self._asked -= 1
        elif self._task is not None:
            self._task.uncancel()
        return self._asked + (self._task.cancelling() if self._task else 0)

    def _throw(self) -> None:
        # It may have gone on meanwhile, with what was to be thrown.
        if self._thrown is not None and self._awaited is not None:
            self.go_on()

    async def _carry_on(self, waits_for: Any) -> None:
        # Not before: a task that is cancelled before it begins never does, and would leave the call without an end.
        self._task = asyncio.current_task()
        if self._thrown is not None and self._task is not None:
            self._asked -= 1
            self._task.cancel(*self._thrown.args)
        try:
            result = await rest_of(self._coroutine, waits_for)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # as above
            self._end(None, error)
        else:
            self._end(result, None)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self._among.discard(self)
        try:
            self.ended(result, error)
        except Exception:  # noqa: BLE001  # the edge: who is answered together with this one must be answered too
            structlog.get_logger("service.call").exception("an answer was not given")
        if error is not None:
            # It holds the frames that it came through, and they hold it: only the garbage collection would find them.
            error.__traceback__ = None


class Outcome(Generic[Known]):
    """What will be known later, to one who awaits it. A Call goes on in the moment that it is known."""

    caller: Call | None = None
    _is_known = False
    _value: Known
    _error: BaseException | None = None
    # Where a task awaits it.
    _future: "asyncio.Future[Known] | None" = None

    def done(self) -> bool:
        """Whether it is known, or nobody waits for it any more."""
        return self._is_known or (self._future is not None and self._future.cancelled())

    def leave(self) -> None:
        """The call that awaits it waits no longer."""
        self.caller = None
        self._error = asyncio.CancelledError()
        self._is_known = True

    def set_result(self, value: Known) -> None:
        """It is known."""
        self._value = value
        self._tell()

    def set_exception(self, error: BaseException) -> None:
        """It failed."""
        self._error = error
        self._tell()

    def cancel(self, msg: Any = None) -> bool:
        """Nobody waits for it any more; whoever still does is told that it was cancelled. Whether it was not known."""
        if self._is_known:
            return False
        self.set_exception(cancelled(msg))
        return True

    def __await__(self) -> Generator[Any, None, Known]:
        if not self._is_known:
            if NOW.call is None:
                return (yield from self.future().__await__())
            yield self
        if self._error is not None:
            raise self._error
        return self._value

    def future(self) -> "asyncio.Future[Known]":
        """The same for a task; who cancels it waits no longer."""
        if self._future is None:
            self._future = asyncio.get_running_loop().create_future()
            if self._is_known:
                self._tell_task(self._future)
        return self._future

    def _tell(self) -> None:
        self._is_known = True
        caller, self.caller = self.caller, None
        if caller is not None:
            caller.go_on()
        elif self._future is not None:
            self._tell_task(self._future)

    def _tell_task(self, future: "asyncio.Future[Known]") -> None:
        if future.done():
            return
        if self._error is None:
            future.set_result(self._value)
        elif isinstance(self._error, asyncio.CancelledError):
            future.cancel()
        else:
            future.set_exception(self._error)


def cancelled(msg: Any) -> asyncio.CancelledError:
    """What somebody is told who was asked to end, with these words if there are any."""
    return asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)


@types.coroutine
def in_a_task() -> Generator[None, None, None]:
    """Awaited where what follows needs a task around it: from there on there is one."""
    if NOW.call is not None:
        yield


@types.coroutine
def rest_of(
    steps: Coroutine[Any, Any, Known] | Generator[Any, Any, Known], waits_for: Any
) -> Generator[Any, Any, Known]:
    """What is left of something awaitable whose steps were begun elsewhere, and which waits for something now."""
    try:
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001  # handed on, as `yield from` does
                waits_for = steps.throw(error)
            else:
                waits_for = steps.send(sent)
    except StopIteration as end:
        result: Known = end.value
        return result
