"""No place is left: what whoever comes now is told. A server that is asked for more than it can do spends its time on
this: each refusal that is cheaper is an answer.
"""

import asyncio

from service.access_log import AccessLog
from service.admission import Admission
from service.direct_call import problem_answer
from service.exchange import Exchange
from service.front import Found
from service.http_cycle import Answer, begin_of_answer
from service.known_heads import Known
from service.problems import Overloaded, problem_content
from service.request_id import HEADER, new_request_id

Headers = list[tuple[bytes, bytes]]


class Refusals:
    """They differ in the id, and in how many wait. In a crowd as many wait again and again."""

    def __init__(self, admission: Admission, access_log: AccessLog) -> None:
        self._admission = admission
        self._access_log = access_log
        # By how many wait: headers and body; and all before and behind the id, with what the server says of itself.
        self._contents: dict[int, tuple[Headers, bytes]] = {}
        self._bytes: dict[int, tuple[bytes, bytes]] = {}
        self._server_headers: Headers = []

    def answer(self, found: Found, exchange: Exchange) -> Answer:
        """As an answer to a request that has begun."""
        exchange.route = found.route.path
        return problem_answer(Overloaded, self._content(self._admission.waiting), exchange)

    def of_known(self, known: Known, server_headers: Headers, loop: asyncio.AbstractEventLoop) -> bytes:
        """As bytes, to a request of this head: it is told and counted, and nothing else is made of it."""
        request_id = known.request_id or new_request_id()
        route = known.found.route.path
        if self._access_log.has_lines:
            exchange = Exchange(loop)
            exchange.begin(request_id, known.traceparent)
            exchange.route, exchange.problem, exchange.status = route, Overloaded.word, Overloaded.status
            self._access_log.note(known.scope, exchange)
        else:
            self._access_log.count(route, Overloaded.word)
        if server_headers is not self._server_headers:
            self._server_headers = server_headers
            self._bytes.clear()
        waiting = self._admission.waiting
        begin, end = self._bytes.get(waiting) or self._make_bytes(waiting)
        return begin + request_id + end

    def _make_bytes(self, waiting: int) -> tuple[bytes, bytes]:
        own, body = self._content(waiting)
        begin = begin_of_answer(Overloaded.status, (*self._server_headers, *own, (HEADER, b"")))
        made = self._bytes[waiting] = (begin.removesuffix(b"\r\n"), b"\r\n\r\n" + body)
        return made

    def _content(self, waiting: int) -> tuple[Headers, bytes]:
        content = self._contents.get(waiting)
        if content is None:
            content = self._contents[waiting] = problem_content(self._admission.overloaded())
        return content
