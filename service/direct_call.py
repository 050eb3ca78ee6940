"""The answer to a request that came whole: by a coroutine, or without one where it waits for nothing but a run."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol

import structlog
from starlette.types import Scope

from service.access_log import AccessLog
from service.admission import Admission
from service.batch_queue import Rows, Waiting
from service.batcher import Batcher
from service.call import Call
from service.deadline import Waiter, passed
from service.exchange import NOW, Exchange
from service.front import Found
from service.http_cycle import Answer
from service.known_heads import Known
from service.problems import ServingError, problem_content
from service.request_id import HEADER
from service.request_log import problem_of
from service.routing import Content, Document, Prompt, Write
from service.together import Together
from service.versions import ServedModel


class Whole(Protocol):
    """A request that came whole. `known`: what it asks, where its head came before; `raw`: its bytes, where they are
    in one piece that may come again.
    """

    scope: Scope
    exchange: Exchange
    found: Found
    content: bytes
    known: Known | None
    raw: bytes | None

    def give(self, answer: Answer | None) -> None:
        """The answer; None: nobody waits for it any more."""


class Way:
    """The way of an answer: until when it must be there, the log that it is told in, the connection that it goes to."""

    def __init__(self, admission: Admission, access_log: AccessLog) -> None:
        self.admission = admission
        self._access_log = access_log
        self._logger = structlog.get_logger("service.direct")

    def begin(self, waiter: Waiter, exchange: Exchange, seconds: float) -> int:
        """The waiter is told when these seconds, of which it has waited some, are over; gives what `end` asks for."""
        loop = exchange.loop
        return self.admission.deadlines.begin(waiter, loop.time() + seconds - exchange.waited_seconds, loop)

    def end(
        self,
        waiter: Waiter,
        tick: int | None,
        whole: Whole,
        result: Document | Content | Write | None,
        error: BaseException | None,
    ) -> None:
        """Give the answer. It is counted, and told in the log."""
        if tick is not None:
            self.admission.deadlines.end(waiter, tick)
        answer = self._answer(waiter, whole, result, error)
        # Before what it tells of is on its way: whoever has the answer finds the line.
        self._access_log.note(whole.scope, whole.exchange)
        whole.give(answer)

    def _answer(self, waiter: Waiter, whole: Whole, result: Any, error: BaseException | None) -> Answer | None:
        exchange = whole.exchange
        if error is None:
            try:
                answer = whole.found.route.written(result, exchange)
            except Exception as unwritten:  # noqa: BLE001  # the edge
                error = unwritten
            else:
                exchange.status = answer.status
                answer.headers.append((HEADER, exchange.request_id))
                return answer
        if isinstance(error, asyncio.CancelledError):
            error = passed(waiter) or error
        problem = problem_of(error, self._logger)
        return None if problem is None else problem_answer(type(problem), problem_content(problem), exchange)


class DirectCall(Call):
    """By the route's coroutine. `seconds`: the time that it has; None: it ends at once."""

    def __init__(
        self, way: Way, whole: Whole, seconds: float | None, coroutine: Coroutine[Any, Any, Any], among: set[Any]
    ) -> None:
        super().__init__(whole.exchange, coroutine, among)
        self._way = way
        self._whole = whole
        self._tick = None if seconds is None else way.begin(self, whole.exchange, seconds)

    def ended(self, result: Any, error: BaseException | None) -> None:
        """Give the answer."""
        self._way.end(self, self._tick, self._whole, result, error)


class PromptCall(Waiting):
    """By the parts of an endpoint that does without its coroutine: it stands in the batcher's queue itself. Who cancels
    it is heard as a task is: in the next turn of the loop.
    """

    # Whether its time is: deadline.py.
    is_over = False
    _batcher: Batcher | None = None
    _wrong: Exception | None = None
    # How often it was asked to end, and what it is told for that.
    _asked = 0
    _thrown: asyncio.CancelledError | None = None

    def __init__(  # not Waiting's own: what waits is known once the body is read
        self, way: Way, together: Together, whole: Whole, prompt: Prompt, seconds: float, among: set[Any]
    ) -> None:
        """`among`: as a Call's."""
        self.exchange = whole.exchange
        self._way = way
        self._together = together
        self._whole = whole
        self._prompt = prompt
        self._among = among
        among.add(self)
        self._tick = way.begin(self, whole.exchange, seconds)

    def go_on(self) -> None:
        """Begin."""
        exchange = self.exchange
        before, NOW.call = NOW.call, self
        try:
            self._way.admission.check(exchange.is_refused)
            self._model: ServedModel = self._prompt.model(exchange)
            self._together.begin(self)
        except Exception as error:  # noqa: BLE001  # told to whoever is answered
            self._end(None, error)
        finally:
            NOW.call = before

    def decode(self) -> None:
        """Read the body, unless nobody waits any more."""
        if self._is_known:
            return
        exchange = self.exchange
        # It has waited for this alone.
        exchange.queue = exchange.seconds
        try:
            rows = exchange.decoding(partial(self._prompt.rows, self._model, self._whole.content))
            super().__init__(rows, self._prompt.outputs(self._model), exchange)
        except Exception as error:  # noqa: BLE001  # as above
            self._wrong = error

    def tell(self) -> None:
        """Wait for a run."""
        if self._is_known:
            return
        if self._wrong is not None:
            self._end(None, self._wrong)
            return
        batcher = self._model.batcher
        try:
            batcher.put(self)
        except Exception as error:  # noqa: BLE001  # as above: who is told next must be told too
            self._end(None, error)
        else:
            self._batcher = batcher

    def set_result(self, value: Rows) -> None:
        """Answer."""
        self._end(partial(self._prompt.written, self._model, value), None)

    def set_exception(self, error: BaseException) -> None:
        """Answer: it failed."""
        self._end(None, error)

    def cancel(self, msg: Any = None) -> bool:
        """Nobody waits for it any more."""
        if self._is_known and self._thrown is None:
            return False
        self._asked += 1
        if self._thrown is None:
            self._is_known = True
            if self._batcher is not None:
                self._batcher.withdraw(self)
            self.exchange.loop.call_soon(self._end_cancelled)
        self._thrown = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        return True

    def uncancel(self) -> int:
        """One of those who asked it to end is heard; how many are left."""
        self._asked -= 1
        return self._asked

    def _end_cancelled(self) -> None:
        self._end(None, self._thrown)

    def _end(self, write: Write | None, error: BaseException | None) -> None:
        self._is_known = True
        self._among.discard(self)
        before, NOW.call = NOW.call, self
        try:
            self._way.end(self, self._tick, self._whole, write, error)
        except Exception:  # noqa: BLE001  # the edge: who is answered together with this one must be answered too
            structlog.get_logger("service.direct").exception("an answer was not given")
        finally:
            NOW.call = before


def problem_answer(
    kind: type[ServingError], content: tuple[list[tuple[bytes, bytes]], bytes], exchange: Exchange
) -> Answer:
    """A problem, as an answer to the request."""
    exchange.problem, exchange.status = kind.word, kind.status
    headers, body = content
    return Answer(kind.status, [*headers, (HEADER, exchange.request_id)], body)
