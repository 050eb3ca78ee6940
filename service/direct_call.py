"""The answer to a request that came whole, by its route's coroutine."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog
from starlette.types import Scope

from service.access_log import AccessLog
from service.admission import Admission
from service.call import Call
from service.deadline import passed
from service.exchange import Exchange
from service.front import Found
from service.http_cycle import Answer
from service.known_heads import Known
from service.problems import ServingError, problem_content
from service.request_id import HEADER
from service.request_log import problem_of
from service.routing import Content, Document, Write


class Whole(Protocol):
    """A request that came whole. `raw`: its bytes, where they are in one piece that may come again."""

    scope: Scope
    exchange: Exchange
    found: Found
    content: bytes
    raw: bytes | None

    @property
    def known(self) -> Known | None:
        """What it asks, if its head came before."""

    def give(self, answer: Answer | None) -> None:
        """The answer; None: nobody waits for it any more."""


class Way:
    """The way of an answer: whose places and deadlines bound it, the log that it is told in, its connection."""

    def __init__(self, admission: Admission, access_log: AccessLog) -> None:
        self.admission = admission
        self.note = access_log.note
        self._logger = structlog.get_logger("service.direct")

    def end(self, whole: Whole, result: Document | Content | Write | None, error: BaseException | None) -> None:
        """Give the answer. It is counted, and told in the log."""
        answer = self._answer(whole, result, error)
        # Before what it tells of is on its way: whoever has the answer finds the line.
        self.note(whole.scope, whole.exchange)
        whole.give(answer)

    def _answer(self, whole: Whole, result: Any, error: BaseException | None) -> Answer | None:
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
        self._tick: int | None = None
        if seconds is not None:
            self._tick = way.admission.deadlines.begin(self, self.exchange.until(seconds), self.exchange.loop)

    def ended(self, result: Any, error: BaseException | None) -> None:
        """Give the answer."""
        if self._tick is not None:
            self._way.admission.deadlines.end(self, self._tick)
        if isinstance(error, asyncio.CancelledError):
            error = passed(self) or error
        self._way.end(self._whole, result, error)


def problem_answer(
    kind: type[ServingError], content: tuple[list[tuple[bytes, bytes]], bytes], exchange: Exchange
) -> Answer:
    """A problem, as an answer to the request."""
    exchange.problem, exchange.status = kind.word, kind.status
    headers, body = content
    return Answer(kind.status, [*headers, (HEADER, exchange.request_id)], body)
