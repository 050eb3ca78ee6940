"""The lean route: documented from a typed signature like FastAPI's, without the cost of FastAPI's way to call it."""

import inspect
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, get_args
from urllib.parse import parse_qsl

import orjson
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers as HeadersByName
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service.admission import Admission
from service.api_keys import ApiKeys
from service.batch_queue import Rows
from service.deadline import Headers
from service.exchange import Exchange, exchange_of
from service.http_cycle import Answer
from service.negotiation import preferred
from service.problems import InvalidInput, MethodNotAllowed, NotAcceptable
from service.request_body import BodyReader
from service.session import Tensor
from service.versions import ServedModel

JSON = "application/json"
OCTET_STREAM = "application/octet-stream"
NOT_MODIFIED = 304

Document = dict[str, Any]
Arguments = Callable[[Scope], dict[str, Any]]
# Awaited with what it asks for by name; gives a JSON document, or content of another type, or what writes that.
Endpoint = Callable[..., Coroutine[Any, Any, Any]]

NO_KEYS = ApiKeys([])
NOTHING: Mapping[str, str] = {}


class Content(NamedTuple):
    """An answer that is no JSON document: bytes and their media type, and what else its head says."""

    body: bytes
    media_type: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200


# Writes an answer once it is known; how long that takes is measured.
Write = Callable[[], Content]


@dataclass(frozen=True, slots=True)
class Head:
    """What a request's head asks of its route, and that it is in order; equal heads ask the same. `content_type`: empty
    where there is none; `media_type`: the one of the route's that Accept prefers; `seconds`: the time that the request
    has, if the route takes a body.
    """

    headers: Sequence[tuple[bytes, bytes]]
    content_type: str
    media_type: str
    arguments: dict[str, Any]
    seconds: float


class Prompt(Protocol):
    """What an endpoint does, part by part, with requests that wait for nothing but a run of the model. There is one for
    all that ask the same.
    """

    def model(self, exchange: Exchange) -> ServedModel:
        """Whose run it is. Raises ServingError, as `values`, `rows` of one, and `written` do."""

    def values(self, model: ServedModel, content: bytes) -> Sized:
        """What a body says."""

    def rows(self, model: ServedModel, values: Sequence[Any]) -> Tensor:
        """The model's input, (row, …), of what some bodies say that is equally long. Raises where one is wrong."""

    def outputs(self, model: ServedModel) -> tuple[str, ...]:
        """What the answers need of the run."""

    def written(self, model: ServedModel, row: Rows) -> bytes:
        """An answer, in JSON."""


class Received(Request):
    """A request with its body already read, within its limits and inflated; without one where a route takes none."""

    def __init__(self, head: Head, content: bytes, exchange: Exchange) -> None:
        # Not Request's own: it keeps what it needs to read a body, and this one is read.
        self.head = head
        self.content = content
        self.exchange = exchange

    @property
    def headers(self) -> HeadersByName:
        """By their names."""
        return HeadersByName(raw=list(self.head.headers))


@dataclass(frozen=True)
class Doors:
    """What a request with a body passes on its way in."""

    admission: Admission
    reader: BodyReader


class LeanRoute(APIRoute):
    """Checks key, query and Accept, reads the body where there is a reader, awaits the endpoint, writes its document.

    The endpoint may take path parameters by name, one pydantic model annotated with Query(), and one Received. The
    route stands in the application's own router: include_router would go FastAPI's slow way around it.

    `gives`: media types, the usual one first; which of them Accept prefers is told to the endpoint by the exchange.
    `withheld`: others that a caller may expect, each with the reason why it is not given. `prompt`: of a head and the
    size of a body, how the endpoint answers it promptly, if it does.
    """

    def __init__(
        self,
        path: str,
        endpoint: Endpoint,
        *,
        keys: ApiKeys = NO_KEYS,
        doors: Doors | None = None,
        gives: tuple[str, ...] = (JSON,),
        withheld: Mapping[str, str] = NOTHING,
        prompt: Callable[[Head, int], Prompt | None] | None = None,
        **documented: Any,
    ) -> None:
        super().__init__(path, endpoint, **documented)
        self.keys = keys
        self.gives = gives
        self.withheld = withheld
        self._prompt = prompt
        self.taken = sorted({*(self.methods or ()), *({"HEAD"} if "GET" in (self.methods or ()) else ())})
        parameters = inspect.signature(endpoint, eval_str=True).parameters
        received = next((name for name, one in parameters.items() if one.annotation is Received), "")
        self._answer = endpoint
        self._arguments = _arguments(parameters)
        self._received_name = received
        self._doors = doors if received else None

    def needs_place(self, admission: Admission) -> bool:
        """Whether it is refused where too many wait."""
        return self._doors is not None and self._doors.admission is admission

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As ever, and HEAD is answered where GET is."""
        match, child_scope = super().matches(scope)
        is_taken = match is Match.PARTIAL and scope["method"] in self.taken
        return (Match.FULL if is_taken else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or name the methods that the path takes, or ask for a key."""
        exchange = exchange_of(scope)
        exchange.route = self.path
        if scope["method"] not in self.taken:
            allowed = ", ".join(self.taken)
            raise MethodNotAllowed(f"this path takes {allowed}, not {scope['method'][:40]}", {"Allow": allowed})
        head = self.read_head(scope)
        if self._doors is None:
            await _send(send, self.written(await self._called(Received(head, b"", exchange))))
        else:
            await self._answer_with_body(self._doors, head, exchange, scope, receive, send)

    def read_head(self, scope: Scope) -> Head:
        """Whatever of a request can be held against the route before its body. Raises ServingError."""
        headers = scope["headers"]
        self.keys.check(headers)
        media_type, arguments, seconds = self._media_type(headers), self._arguments(scope), 0.0
        if self._doors is not None:
            seconds = self._doors.admission.deadlines.seconds(headers)
            self._doors.reader.check(headers)
        content_type = next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
        return Head(headers, content_type, media_type, arguments, seconds)

    def prompt(self, head: Head, size: int) -> Prompt | None:
        """How a request of this head, with a body of this size, is answered without awaiting the endpoint, if it is."""
        return None if self._prompt is None else self._prompt(head, size)

    def takes_whole(self, headers: Headers, content: bytes | bytearray) -> bool:
        """Whether `begun` takes this body: it came whole, and is short and not compressed."""
        return self._doors is not None and self._doors.reader.takes_whole(headers, content)

    def begun(self, received: Received) -> Coroutine[Any, Any, Any]:
        """The endpoint, which gives what can be `written`. Raises Overloaded where there is no place for it."""
        assert self._doors is not None, "it takes a body"
        self._doors.admission.check(received.exchange.is_refused)
        return self._called(received)

    def written(self, answer: Document | Content | Write, exchange: Exchange | None = None) -> Answer:
        """What the endpoint gave, as an answer; of a request with a body the times are told."""
        started = time.perf_counter()
        content = answer if isinstance(answer, Content) else answer() if callable(answer) else json_of(answer)
        headers = [(b"content-type", content.media_type.encode()), *content.headers]
        if content.status != NOT_MODIFIED:
            # There it would be the length of what is not sent.
            headers.append((b"content-length", b"%d" % len(content.body)))
        if exchange is not None:
            headers.append((b"server-timing", exchange.server_timing()))
            if (model := exchange.model) is not None:
                model.decoded(exchange.decode)
                model.encoded(time.perf_counter() - started)
        return Answer(content.status, headers, content.body)

    def _called(self, received: Received) -> Coroutine[Any, Any, Any]:
        name, arguments = self._received_name, received.head.arguments
        return self._answer(**arguments, **{name: received}) if name else self._answer(**arguments)

    def _media_type(self, headers: Headers) -> str:
        accept = b",".join([value for name, value in headers if name == b"accept"]).decode("latin-1")
        usual = self.gives[0]
        if not accept or accept in ("*/*", usual):
            return usual
        media_type = preferred(self.gives, accept)
        if media_type is None:
            reason = next((f"; {why}" for name, why in self.withheld.items() if name in accept.lower()), "")
            given = " or ".join(self.gives)
            raise NotAcceptable(f"Accept is '{accept[:100]}', this route answers {given} alone{reason}")
        return media_type

    async def _answer_with_body(
        self, doors: Doors, head: Head, exchange: Exchange, scope: Scope, receive: Receive, send: Send
    ) -> None:
        doors.admission.check(exchange.is_refused)
        deadline = exchange.until(head.seconds)
        try:
            body = await doors.reader.read(scope, receive, deadline)
        except ClientDisconnect:
            return
        received = Received(head, body.content, exchange)
        try:
            # Whoever still waits is dropped there; what runs already ends, its answer is not waited for.
            document = await doors.admission.deadlines.in_time(self.begun(received), deadline, exchange.loop)
        finally:
            body.release()
        await _send(send, self.written(document, exchange))


async def _send(send: Send, answer: Answer) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.content})


def json_of(document: Document) -> Content:
    """A document, encoded; NumPy's arrays and numbers in it too."""
    return Content(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), JSON)


def _arguments(parameters: Any) -> Arguments:
    query = next((one for one in parameters.values() if _is_query_model(one.annotation)), None)
    in_path = [name for name, one in parameters.items() if one is not query and one.annotation is not Received]
    model: type[BaseModel] = _Nothing if query is None else get_args(query.annotation)[0]
    absent = model()

    def arguments(scope: Scope) -> dict[str, Any]:
        read = _parse_query(model, scope["query_string"]) if scope["query_string"] else absent
        given = {name: scope["path_params"][name] for name in in_path}
        return given if query is None else {**given, query.name: read}

    return arguments


class _Nothing(BaseModel, extra="forbid"):
    """The query of a route that takes none."""


def _is_query_model(annotation: Any) -> bool:
    first = next(iter(get_args(annotation)), None)
    return inspect.isclass(first) and issubclass(first, BaseModel)


def _parse_query(model: type[BaseModel], query_string: bytes) -> BaseModel:
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    values = dict(pairs)
    if len(values) != len(pairs):
        twice = next(name for name in values if sum(name == other for other, _ in pairs) > 1)
        raise InvalidInput(f"the query parameter '{twice[:40]}' is given more than once")
    try:
        return model.model_validate(values)
    except ValidationError as invalid:
        raise InvalidInput(_query_complaint(model, invalid)) from None


def _query_complaint(model: type[BaseModel], invalid: ValidationError) -> str:
    first = invalid.errors(include_url=False)[0]
    name = str(first["loc"][0])[:40]
    if first["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields) or "none"
        return f"unknown query parameter '{name}', this route takes {known}"
    return f"the query parameter '{name}' is '{str(first['input'])[:40]}'; {first['msg'].lower()}"
