"""Requests that came whole are answered by the connection itself: the route's own answer, without ASGI's way to it."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

import structlog
from starlette.types import Scope

from service.access_log import AccessLog
from service.admission import Admission
from service.call import Call
from service.deadline import passed
from service.exchange import Exchange
from service.front import Found, Front
from service.http_cycle import Answer, answer_bytes
from service.known_heads import Known, KnownHeads
from service.problems import Overloaded, ServingError, problem_content
from service.request_id import HEADER
from service.request_log import identify, problem_of
from service.routing import Head, Received


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


class Direct:
    """Lean routes that take a body. ASGI's messages, and a task for each request, cost as much as the answer; and a
    server that is asked for more than it can do spends its time on refusals: each that is cheaper is an answer.
    """

    def __init__(self, front: Front, admission: Admission, access_log: AccessLog, has_origins: bool = False) -> None:
        """`has_origins`: something stands in front of the routes that has its word where a request names its origin."""
        self.admission = admission
        self.access_log = access_log
        self.logger = structlog.get_logger("service.direct")
        self._front = front
        self._has_origins = has_origins
        self.heads = KnownHeads()
        # By how many wait.
        self._refusals: dict[int, tuple[list[tuple[bytes, bytes]], bytes]] = {}

    def find(self, scope: Scope) -> Found | None:
        """The route, if it is one that needs a place for a request's body."""
        found = self._front.find(scope)
        if found is None or scope["method"] not in found.route.taken or not found.route.needs_place(self.admission):
            return None
        if self._has_origins and any(name == b"origin" for name, _ in scope["headers"]):
            return None
        return found

    def takes(self, found: Found, scope: Scope, content: bytes | bytearray) -> bool:
        """Whether nothing has to be done with the body that takes its time."""
        return found.route.takes_whole(scope["headers"], content)

    def call(self, whole: Whole, among: set[Any]) -> Call:
        """What answers the request; `among`: as a Call's."""
        exchange, route, known = whole.exchange, whole.found.route, whole.known
        exchange.route = route.path
        received: Received | None = None
        try:
            if known is None:
                identify(whole.scope, exchange)
                head = self._read_head(whole)
            else:
                known.begin(exchange)
                head = known.head
            received = Received(head, whole.content, exchange)
            coroutine = route.begun(received)
        except Exception as error:  # noqa: BLE001  # told as any other
            coroutine = _failed(error)
        return _Call(self, whole, received, coroutine, among)

    def refuse(self, found: Found, whole: Whole) -> None:
        """Answer: overloaded, as a problem."""
        if whole.known is None:
            identify(whole.scope, whole.exchange)
        else:
            whole.known.begin(whole.exchange)
        refusal = self._refused(found, whole.exchange)
        self.access_log.note(whole.scope, whole.exchange)
        whole.give(refusal)

    def refusal(self, known: Known, exchange: Exchange, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The same as bytes, with these headers too."""
        known.begin(exchange)
        status, own, content = self._refused(known.found, exchange)
        self.access_log.note(known.scope, exchange)
        return answer_bytes(status, (*headers, *own), content)

    def tell_gone(self, known: Known, exchange: Exchange) -> None:
        """Its client left before it began."""
        known.begin(exchange)
        exchange.route = known.found.route.path
        self.access_log.note(known.scope, exchange)

    def _refused(self, found: Found, exchange: Exchange) -> Answer:
        exchange.route = found.route.path
        waiting = self.admission.waiting
        # In a crowd as many wait again and again.
        content = self._refusals.get(waiting)
        if content is None:
            content = self._refusals[waiting] = problem_content(self.admission.overloaded())
        return _problem(Overloaded, content, exchange)

    def _read_head(self, whole: Whole) -> Head:
        found, scope, raw = whole.found, whole.scope, whole.raw
        scope["path_params"] = found.parameters
        head = found.route.read_head(scope)
        if raw is not None:
            self.heads.keep(raw, whole.content, scope, found, head)
        return head


class _Call(Call):
    """The answer to one request."""

    _tick = 0

    def __init__(
        self,
        direct: Direct,
        whole: Whole,
        received: Received | None,
        coroutine: Coroutine[Any, Any, Any],
        among: set[Any],
    ) -> None:
        super().__init__(whole.exchange, coroutine, among)
        self._direct = direct
        self._whole = whole
        self._received = received
        if received is not None:
            loop = whole.exchange.loop
            deadline = loop.time() + received.head.seconds - whole.exchange.waited_seconds
            self._tick = direct.admission.deadlines.begin(self, deadline, loop)

    def ended(self, result: Any, error: BaseException | None) -> None:
        """Give the answer. It is counted, and told in the log."""
        direct = self._direct
        if self._received is not None:
            direct.admission.deadlines.end(self, self._tick)
        answer = self._answer(result, error)
        # Before what it tells of is on its way: whoever has the answer finds the line.
        direct.access_log.note(self._whole.scope, self.exchange)
        self._whole.give(answer)

    def _answer(self, result: Any, error: BaseException | None) -> Answer | None:
        exchange = self.exchange
        if error is None:
            try:
                answer = self._whole.found.route.written(result, self._received)
            except Exception as unwritten:  # noqa: BLE001  # the edge
                error = unwritten
            else:
                exchange.status = answer.status
                answer.headers.append((HEADER, exchange.request_id))
                return answer
        if isinstance(error, asyncio.CancelledError):
            error = passed(self) or error
        problem = problem_of(error, self._direct.logger)
        return None if problem is None else _problem(type(problem), problem_content(problem), exchange)


async def _failed(error: Exception) -> None:
    raise error


def _problem(kind: type[ServingError], content: tuple[list[tuple[bytes, bytes]], bytes], exchange: Exchange) -> Answer:
    exchange.problem, exchange.status = kind.word, kind.status
    headers, body = content
    return Answer(kind.status, [*headers, (HEADER, exchange.request_id)], body)
