"""Requests that came whole are answered by the connection itself: the route's own answer, without ASGI's way to it."""

from typing import Any

from starlette.types import Scope

from service.access_log import AccessLog
from service.admission import Admission
from service.direct_call import DirectCall, Way, Whole
from service.exchange import Exchange
from service.front import Found, Front
from service.known_heads import Known, KnownHeads
from service.prompt_calls import KnownRequest, PromptCall, PromptCalls
from service.refusals import Refusals
from service.request_log import identify
from service.routing import Head, Received


class Direct:
    """Lean routes that take a body. ASGI's messages, and a task for each request, cost as much as the answer."""

    def __init__(self, front: Front, admission: Admission, access_log: AccessLog, has_origins: bool = False) -> None:
        """`has_origins`: something stands in front of the routes that has its word where a request names its origin."""
        self.admission = admission
        self.access_log = access_log
        self._way = Way(admission, access_log)
        self._front = front
        self._prompt_calls = PromptCalls(self._way)
        self._has_origins = has_origins
        self.heads = KnownHeads()
        self.refusals = Refusals(admission, access_log)

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

    def call(self, whole: Whole, among: set[Any]) -> DirectCall:
        """What answers the request; `among`: as a Call's."""
        exchange = whole.exchange
        exchange.route = whole.found.route.path
        try:
            identify(whole.scope, exchange)
            head = self._read_head(whole)
        except Exception as error:  # noqa: BLE001  # told as any other
            return DirectCall(self._way, whole, None, _failed(error), among)
        return self._call(whole, head, among)

    def call_of_known(self, known: Known, request: KnownRequest, among: set[Any]) -> DirectCall | PromptCall:
        """The same of one whose head came before."""
        if known.prompt is not None:
            return PromptCall(self._prompt_calls, request, known.prompt, among)
        request.exchange.route = known.found.route.path
        known.begin(request.exchange)
        return self._call(request, known.head, among)

    def _call(self, whole: Whole, head: Head, among: set[Any]) -> DirectCall:
        try:
            coroutine = whole.found.route.begun(Received(head, whole.content, whole.exchange))
        except Exception as error:  # noqa: BLE001  # as above
            coroutine = _failed(error)
        return DirectCall(self._way, whole, head.seconds, coroutine, among)

    def refuse(self, found: Found, whole: Whole) -> None:
        """Answer: overloaded, as a problem."""
        if whole.known is None:
            identify(whole.scope, whole.exchange)
        else:
            whole.known.begin(whole.exchange)
        refusal = self.refusals.answer(found, whole.exchange)
        self.access_log.note(whole.scope, whole.exchange)
        whole.give(refusal)

    def tell_gone(self, known: Known, exchange: Exchange) -> None:
        """Its client left before it began."""
        known.begin(exchange)
        exchange.route = known.found.route.path
        self.access_log.note(known.scope, exchange)

    def _read_head(self, whole: Whole) -> Head:
        found, scope, raw = whole.found, whole.scope, whole.raw
        scope["path_params"] = found.parameters
        head = found.route.read_head(scope)
        if raw is not None:
            self.heads.keep(raw, whole.content, scope, found, head)
        return head


async def _failed(error: Exception) -> None:
    raise error
