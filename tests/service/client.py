"""The service inside the test's process: a real application, its lifespan run, behind a client without a socket."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.types import ASGIApp, Message

from service.app import create_app
from service.session import Session
from service.settings import Settings


class Client:
    """Calls the application from a synchronous test. An exception that leaves the application fails the test."""

    def __init__(self, app: ASGIApp, portal: BlockingPortal, state: dict[str, Any] | None = None) -> None:
        self.app = app
        self.portal = portal
        # What the lifespan gave to the connections.
        self.state = state or {}

    def request(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        """One request."""
        response: httpx.Response = self.portal.call(self._request, method, url, arguments)
        return response

    def get(self, url: str, **arguments: Any) -> httpx.Response:
        """One GET request."""
        return self.request("GET", url, **arguments)

    def post(self, url: str, **arguments: Any) -> httpx.Response:
        """One POST request."""
        return self.request("POST", url, **arguments)

    def post_together(self, url: str, contents: list[Any], **arguments: Any) -> list[httpx.Response]:
        """Several POST requests at once."""

        async def gathered() -> list[httpx.Response]:
            return await asyncio.gather(
                *(self._request("POST", url, {"content": content, **arguments}) for content in contents)
            )

        return self.portal.call(gathered)

    def wait_until_loaded(self, *names: str) -> None:
        """Until none of the models of these names, or of all, is loading any more."""
        for _ in range(1000):
            models = [one for one in self.get("/models").json()["models"] if not names or one["name"] in names]
            if all(one["status"] != "loading" for model in models for one in model["versions"]):
                return
            time.sleep(0.01)
        raise AssertionError("the models did not load")

    def wait_until_ready(self) -> None:
        """Until the service says so, which it says to everybody."""
        for _ in range(1000):
            if self.get("/v2/health/ready").status_code == 200:
                return
            time.sleep(0.01)
        raise AssertionError("the service did not become ready")

    async def _request(self, method: str, url: str, arguments: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://heed") as client:
            return await client.request(method, url, **arguments)


@contextmanager
def running(
    settings: Settings, *, is_loaded: bool = True, load_graph: Callable[..., Session] = Session
) -> Iterator[Client]:
    """The application with its lifespan run."""
    app = create_app(settings, load_graph)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_Lifespan(app)) as state:
        client = Client(app, portal, state)
        if is_loaded:
            client.wait_until_loaded()
        yield client


class _Lifespan:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def __aenter__(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
        self._task: asyncio.Task[None] = asyncio.create_task(self._run(scope))
        await self._step("startup")
        return state

    async def _run(self, scope: dict[str, Any]) -> None:
        await self._app(scope, self._to_app.get, self._from_app.put)

    async def __aexit__(self, *_: object) -> None:
        await self._step("shutdown")
        await self._task

    async def _step(self, name: str) -> None:
        await self._to_app.put({"type": f"lifespan.{name}"})
        assert (await self._from_app.get())["type"] == f"lifespan.{name}.complete"


def problem(response: httpx.Response, status: int, word: str) -> str:
    """The detail of a problem, once its form is checked."""
    document = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, document["status"]) == (status, status)
    assert document["type"] == f"urn:heed:problem:{word}"
    assert document["title"]
    assert document["error"] == document["detail"]
    assert response.headers["x-request-id"]
    detail: str = document["detail"]
    assert len(detail) < 600
    return detail
