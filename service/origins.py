"""CORS: which pages of other origins may ask, what they may send, and what of an answer they may read."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from service.problems import ForeignOrigin, problem_response

CORS_METHODS = ("GET", "HEAD", "POST")
LENGTH = "Inference-Header-Content-Length"
CORS_TAKEN = ("Authorization", "Content-Type", LENGTH, "X-API-Key", "X-Request-ID", "X-Request-Timeout-Ms")
CORS_SHOWN = (LENGTH, "Retry-After", "Server-Timing", "WWW-Authenticate", "X-Request-ID")
KEPT_OF_A_REFUSAL = ("vary", "access-control-")


def with_origins(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """The application, its answers readable by pages of these origins; a preflight needs no key."""
    if not origins:
        return app
    return _Origins(
        app, allow_origins=origins, allow_methods=CORS_METHODS, allow_headers=CORS_TAKEN, expose_headers=CORS_SHOWN
    )


class _Origins(CORSMiddleware):
    """Starlette's, and a refused preflight is a problem."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        refused = bytes(response.body).decode().removeprefix("Disallowed CORS ")
        detail = (
            f"a page of '{request_headers['origin'][:100]}' may not ask this, because of its {refused}; "
            f"pages of known origins use {', '.join(CORS_METHODS)} and send {', '.join(CORS_TAKEN)}"
        )
        kept = {name: value for name, value in response.headers.items() if name.startswith(KEPT_OF_A_REFUSAL)}
        return problem_response(ForeignOrigin(detail, kept))
