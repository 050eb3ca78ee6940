"""Who finds no place is told so by the connection itself: the route's own answer, without the way to the route."""

from starlette.types import Scope

from service.access_log import AccessLog
from service.admission import Admission
from service.exchange import Exchange
from service.front import Front
from service.http_cycle import Answer
from service.problems import Overloaded, problem_content
from service.request_id import HEADER
from service.request_log import begin


class Refusals:
    """A server that is asked for more than it can do spends its time on refusals: each that is cheaper is an answer."""

    def __init__(self, front: Front, admission: Admission, access_log: AccessLog, answers: bool = True) -> None:
        """`answers`: not where something stands in front of the routes that has its word in every answer."""
        self.answers = answers
        self._front = front
        self._admission = admission
        self._access_log = access_log
        # By how many wait.
        self._contents: dict[int, tuple[list[tuple[bytes, bytes]], bytes]] = {}

    def takes(self, scope: Scope) -> bool:
        """Whether this request would be refused by its route: it has a body, and a place is needed for it."""
        found = self._front.find(scope)
        if found is None or scope["method"] not in found.route.taken:
            return False
        return found.route.needs_place(self._admission)

    def answer(self, scope: Scope, exchange: Exchange) -> Answer:
        """Overloaded, as a problem. It is counted, and told in the log."""
        found = self._front.find(scope)
        assert found is not None, "only what is taken is answered"
        begin(scope, exchange)
        headers, content = self._content()
        exchange.route, exchange.problem, exchange.status = found.route.path, Overloaded.word, Overloaded.status
        self._access_log.tell(scope, exchange)
        return Answer(Overloaded.status, [*headers, (HEADER, exchange.request_id)], content)

    def _content(self) -> tuple[list[tuple[bytes, bytes]], bytes]:
        # In a crowd as many wait again and again.
        content = self._contents.get(self._admission.waiting)
        if content is None:
            content = self._contents[self._admission.waiting] = problem_content(self._admission.overloaded())
        return content
