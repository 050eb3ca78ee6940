"""The lean route: documented from a typed signature like FastAPI's, without the cost of FastAPI's way to call it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import parse_qsl

import orjson
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from service.api_keys import ApiKeys
from service.deadline import Deadlines
from service.negotiation import is_acceptable
from service.problems import DeadlinePassed, InvalidInput, MethodNotAllowed, NotAcceptable
from service.request_body import BodyReader
from service.timing import Timing

JSON = "application/json"
PICTURE_TYPES = ("image/svg+xml", "image/png", "application/vnd.vegalite.v5+json")

Document = dict[str, Any]
Arguments = Callable[[Scope], dict[str, Any]]

NO_KEYS = ApiKeys([])


class Received(Request):
    """A request with its body already read, within its limits and inflated."""

    def __init__(self, scope: Scope, content: bytes) -> None:
        super().__init__(scope)
        self.content = content
        self.timing = Timing()


@dataclass(frozen=True)
class Doors:
    """What a request with a body passes on its way in."""

    deadlines: Deadlines
    reader: BodyReader


class LeanRoute(APIRoute):
    """Checks key, query and Accept, reads the body where there is a reader, awaits the endpoint, writes its document.

    The endpoint may take path parameters by name, one pydantic model annotated with Query(), and one Received. The
    route stands in the application's own router: include_router would go FastAPI's slow way around it.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Awaitable[Document]],
        *,
        keys: ApiKeys = NO_KEYS,
        doors: Doors | None = None,
        **documented: Any,
    ) -> None:
        super().__init__(path, endpoint, **documented)
        self.keys = keys
        self.taken = sorted({*(self.methods or ()), *({"HEAD"} if "GET" in (self.methods or ()) else ())})
        parameters = inspect.signature(endpoint, eval_str=True).parameters
        received = next((name for name, one in parameters.items() if one.annotation is Received), None)
        if doors and received:
            self.app = _AppWithBody(endpoint, _arguments(parameters), received, doors)
        else:
            self.app = _App(endpoint, _arguments(parameters))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As ever, and HEAD is answered where GET is."""
        match, child_scope = super().matches(scope)
        is_taken = match is Match.PARTIAL and scope["method"] in self.taken
        return (Match.FULL if is_taken else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or name the methods that the path takes, or ask for a key."""
        if scope["method"] not in self.taken:
            allowed = ", ".join(self.taken)
            raise MethodNotAllowed(f"this path takes {allowed}, not {scope['method'][:40]}", {"Allow": allowed})
        self.keys.check(scope["headers"])
        await self.app(scope, receive, send)


@dataclass(frozen=True)
class _App:
    endpoint: Callable[..., Awaitable[Document]]
    arguments: Arguments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _check_accept(scope)
        await _send(send, await self.endpoint(**self.arguments(scope)), [])


@dataclass(frozen=True)
class _AppWithBody:
    endpoint: Callable[..., Awaitable[Document]]
    arguments: Arguments
    received_name: str
    doors: Doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _check_accept(scope)
        given = self.arguments(scope)
        deadline = self.doors.deadlines.of(scope["headers"])
        try:
            body = await self.doors.reader.read(scope, receive, deadline)
        except ClientDisconnect:
            return
        try:
            received = Received(scope, body.content)
            document = await self._answer_in_time(deadline, {self.received_name: received, **given})
        finally:
            body.release()
        await _send(send, document, [(b"server-timing", received.timing.server_timing())])

    async def _answer_in_time(self, deadline: float, given: dict[str, Any]) -> Document:
        # Whoever still waits for a thread is dropped there; what runs already is waited for, its answer is not.
        try:
            async with asyncio.timeout_at(deadline) as timer:
                return await self.endpoint(**given)
        except TimeoutError:
            if timer.expired():
                raise DeadlinePassed("the request's time was over before it was answered") from None
            raise


async def _send(send: Send, document: Document, headers: list[tuple[bytes, bytes]]) -> None:
    content = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    described = [(b"content-type", JSON.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": described + headers})
    await send({"type": "http.response.body", "body": content})


def _check_accept(scope: Scope) -> None:
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
    if accept in ("", "*/*", JSON) or is_acceptable(JSON, accept):
        return
    pictures = "; pictures of an answer are not given yet" if any(one in accept for one in PICTURE_TYPES) else ""
    raise NotAcceptable(f"Accept is '{accept[:100]}', this route answers {JSON} alone{pictures}")


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
