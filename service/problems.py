"""Every refusal that a caller can meet, and its form on the wire: application/problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.exchange import exchange_of

MEDIA_TYPE = "application/problem+json"
DETAIL_OF_500 = "the server failed on this request; it is logged under the request id"


class ServingError(Exception):
    """A request that cannot be answered, told to its caller. `word` stays: clients tell problems apart by it."""

    status: ClassVar[int]
    word: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}

    def within(self, place: str) -> "ServingError":
        """The same problem, its detail prefixed with the place in the request where it was found."""
        return type(self)(f"{place}: {self.detail}", self.headers)


class MalformedBody(ServingError):
    """The bytes are not what they say they are."""

    status, word, title = 400, "malformed-body", "The body cannot be read"


class MalformedRequest(ServingError):
    """The request itself is not valid HTTP."""

    status, word, title = 400, "malformed-request", "The request is not valid HTTP"


class ModelRefused(ServingError):
    """A model that should be loaded is refused. What was served before is served on."""

    status, word, title = 400, "model-refused", "The model was not loaded"


class ForeignOrigin(ServingError):
    """A page of another origin asks what it may not."""

    status, word, title = 403, "foreign-origin", "A page of this origin may not ask this"


class Unauthorized(ServingError):
    """No API key was given where one is asked for, or one that is not taken."""

    status, word, title = 401, "unauthorized", "An API key is needed"


class ControlDisabled(ServingError):
    """Models are not loaded and unloaded by request."""

    status, word, title = 403, "control-disabled", "Models are not loaded and unloaded by request here"


class PathNotFound(ServingError):
    """No route has this path."""

    status, word, title = 404, "not-found", "There is nothing at this path"


class UnknownModel(ServingError):
    """No model of this name is served."""

    status, word, title = 404, "unknown-model", "There is no such model"


class UnknownVersion(ServingError):
    """The model has no such version."""

    status, word, title = 404, "unknown-version", "The model has no such version"


class NoSamples(ServingError):
    """The model came without samples."""

    status, word, title = 404, "no-samples", "The model has no samples"


class NoStatistics(ServingError):
    """Nothing is counted."""

    status, word, title = 404, "no-statistics", "The server counts nothing"


class MethodNotAllowed(ServingError):
    """The path exists, the method does not."""

    status, word, title = 405, "method-not-allowed", "The path does not take this method"


class NotAcceptable(ServingError):
    """Nothing that the route can give is in Accept."""

    status, word, title = 406, "not-acceptable", "No acceptable media type"


class BodyTimeout(ServingError):
    """The body did not arrive in time."""

    status, word, title = 408, "body-timeout", "The body did not arrive in time"


class TooLarge(ServingError):
    """Body, inflated body or picture over its limit."""

    status, word, title = 413, "too-large", "The input is over a limit"


class UnsupportedMediaType(ServingError):
    """The route does not take this Content-Type."""

    status, word, title = 415, "unsupported-media-type", "The route does not take this media type"


class InvalidInput(ServingError):
    """Readable, but not what the route or the model takes."""

    status, word, title = 422, "invalid-input", "The input is not what is taken here"


class HeadersTooLarge(ServingError):
    """Request line and headers over their limit."""

    status, word, title = 431, "headers-too-large", "The request's headers are over a limit"


class InternalError(ServingError):
    """Our bug. Tells nothing of the inside."""

    status, word, title = 500, "internal", "The server failed"


class ModelLoading(ServingError):
    """The model was found and is not loaded yet."""

    status, word, title = 503, "loading", "The model is still loading"


class Overloaded(ServingError):
    """As many inputs wait as may wait."""

    status, word, title = 503, "overloaded", "The server has more to do than it can"


class DrawingFailed(ServingError):
    """The process that draws pictures ended. The next picture gets a new one."""

    status, word, title = 503, "drawing-failed", "The picture was not drawn"


class Draining(ServingError):
    """The server is stopping."""

    status, word, title = 503, "draining", "The server is stopping"


class NotReady(ServingError):
    """Models are still loading, or none could be loaded."""

    status, word, title = 503, "not-ready", "The server is not ready"


class ControlFailed(ServingError):
    """The workers could not all do as was asked, so none did."""

    status, word, title = 503, "control-failed", "The workers could not all do it, so none did"


class CountsUnreadable(ServingError):
    """What the workers have counted cannot be read now."""

    status, word, title = 503, "counts-unreadable", "The workers' counts cannot be read"


class DeadlinePassed(ServingError):
    """The time that the request had is over."""

    status, word, title = 504, "deadline", "The request's deadline passed"


def problem_document(error: ServingError) -> dict[str, Any]:
    """RFC 9457's members, and `error`: the Open Inference Protocol's form of the detail."""
    return {
        "type": f"urn:heed:problem:{error.word}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "error": error.detail,
    }


def problem_response(error: ServingError) -> Response:
    """The problem as a response."""
    return Response(orjson.dumps(problem_document(error)), error.status, error.headers, MEDIA_TYPE)


def problem_content(error: ServingError) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers and the body of the problem's answer."""
    content = orjson.dumps(problem_document(error))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(content))]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items()]
    return headers, content


async def send_problem(error: ServingError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the problem. Without Starlette's Response, which costs more than the rest of a refusal."""
    exchange_of(scope).problem = error.word
    headers, content = problem_content(error)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def answer_serving_error(request: Request, error: Exception) -> Response:
    """Exception handler of the family."""
    assert isinstance(error, ServingError)
    exchange_of(request.scope).problem = error.word
    return problem_response(error)


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Exception handler of what Starlette raises itself: unknown paths, wrong methods."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 404:
        unknown = PathNotFound(f"there is nothing at {request.url.path[:200]}", headers)
        return await answer_serving_error(request, unknown)
    if error.status_code == 405:
        taken = headers.get("Allow", "other methods")
        return await answer_serving_error(
            request, MethodNotAllowed(f"this path takes {taken}, not {request.method}", headers)
        )
    status = HTTPStatus(error.status_code)
    document = problem_document(InternalError(str(error.detail)))
    document |= {"type": "about:blank", "title": status.phrase, "status": int(status)}
    return Response(orjson.dumps(document), int(status), headers, MEDIA_TYPE)


async def answer_internal_error(request: Request, error: Exception) -> Response:
    """Exception handler of everything else. It is logged where the request's id is known: request_log.py."""
    return await answer_serving_error(request, InternalError(DETAIL_OF_500))


def documented_problems(*kinds: type[ServingError]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of these problems and of our own bugs, one a status."""
    responses: dict[int | str, dict[str, Any]] = {}
    told: list[type[ServingError]] = [*kinds, InternalError]
    for status in sorted({kind.status for kind in told}):
        shared = [kind for kind in told if kind.status == status]
        words = " or ".join(f"`{kind.word}`" for kind in shared)
        meaning = " ".join(kind.__doc__ or "" for kind in shared)
        responses[status] = {
            "description": f"{words}: {meaning}",
            "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, "example": _example(shared[0])}},
        }
    return responses


def _example(kind: type[ServingError]) -> dict[str, Any]:
    return problem_document(kind(DETAIL_OF_500 if kind is InternalError else "what was wrong, and what is expected"))


def _member(kind: str, description: str, example: object) -> dict[str, Any]:
    return {"type": kind, "description": description, "examples": [example]}


NO_SUCH_MODEL = "there is no model 'digits'"
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "A problem as RFC 9457 has it; `error` repeats the detail.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "error"],
    "properties": {
        "type": _member("string", "`urn:heed:problem:` and a word that stays", "urn:heed:problem:unknown-model"),
        "title": _member("string", "what kind of problem it is", UnknownModel.title),
        "status": _member("integer", "the HTTP status", UnknownModel.status),
        "detail": _member("string", "which value was wrong, and what is expected", NO_SUCH_MODEL),
        "error": _member("string", "the detail again, in the Open Inference Protocol's form", NO_SUCH_MODEL),
    },
}
