"""The lean route: it is the one that answers, and it is documented."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI

from service.front import Front
from service.request_body import BodyReader
from service.request_log import RequestLog
from service.routing import LeanRoute
from tests.service.client import Client
from tests.service.conftest import SERIES


def routes(client: Client) -> list[Any]:
    """The application's own routes."""
    assert isinstance(client.app, RequestLog)
    assert isinstance(client.app._app, Front)
    application = client.app._app._app
    assert isinstance(application, FastAPI)
    return list(application.router.routes)


def test_all_documented_routes_are_lean(client: Client) -> None:
    """Each stands in the application's own router, none inside a router that FastAPI included the slow way."""
    paths = {route.path for route in routes(client) if isinstance(route, LeanRoute)}
    ends = ("", "/ready", "/infer", "/config", "/stats")

    assert paths == {
        "/",
        "/docs",
        "/redoc",
        "/web/{file}",
        "/predict/timeseries",
        "/predict/timeseries/batch",
        "/predict/image",
        "/predict/image/batch",
        "/models",
        "/models/{name}",
        "/models/{name}/samples",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2",
        "/v2/",
        "/v2/models/stats",
        *(f"/v2/models/{{name}}{end}" for end in ends),
        *(f"/v2/models/{{name}}/versions/{{version}}{end}" for end in ends),
        "/v2/repository/index",
        "/v2/repository/models/{name}/load",
        "/v2/repository/models/{name}/unload",
        "/openapi.json",
        "/metrics",
    }
    assert {getattr(route, "path", None) for route in routes(client)} == paths


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("GET", "/predict/timeseries", "POST"),
    ("PUT", "/models", "GET, HEAD"),
    ("DELETE", "/v2/health/live", "GET, HEAD"),
    ("OPTIONS", "/models/timeseries", "GET, HEAD"),
])  # fmt: skip
def test_wrong_method_names_the_right_ones(client: Client, method: str, path: str, allowed: str) -> None:
    """405 with Allow."""
    response = client.request(method, path)

    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert response.json()["type"] == "urn:heed:problem:method-not-allowed"


def test_wrong_method_of_the_document_is_a_problem_too(client: Client) -> None:
    """As that of every other route."""
    response = client.post("/openapi.json")

    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    assert response.headers["content-type"] == "application/problem+json"


def test_head_is_answered_where_get_is(client: Client) -> None:
    """Probes ask with HEAD."""
    assert client.request("HEAD", "/v2/health/live").status_code == 200


@pytest.mark.parametrize(
    "path", ["/nope", "/predict", "/predict/timeseries/", "/models/", "/docs/", "/web", "/%00", "/models/a/b/c"]
)
def test_unknown_paths_are_problems(client: Client, path: str) -> None:
    """404 in the same form, and no redirect."""
    response = client.get(path)

    assert response.status_code == 404
    assert response.json()["type"] == "urn:heed:problem:not-found"


def test_client_that_leaves_gets_no_answer(client: Client) -> None:
    """A disconnect in the middle of a body ends the request, with neither an answer nor an error."""
    sent: list[Any] = []
    scope = {
        "type": "http", "method": "POST", "path": "/predict/timeseries", "raw_path": b"/predict/timeseries",
        "query_string": b"", "headers": [], "root_path": "", "http_version": "1.1", "scheme": "http",
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def call() -> None:
        await client.app(scope, receive, send)

    client.portal.call(call)

    assert sent == []


def test_endpoint_without_reader_takes_no_body() -> None:
    """A route that is given no reader never asks for a body."""

    async def endpoint(name: str) -> dict[str, Any]:
        return {"name": name}

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    route = LeanRoute("/{name}", endpoint)
    scope = {"type": "http", "method": "GET", "headers": [], "query_string": b"", "path_params": {"name": "x"}}
    asyncio.run(route.handle(scope, receive, send))

    assert sent[1]["body"] == b'{"name":"x"}'
    assert BodyReader(1).limit == 1


def test_numbers_are_written_as_short_as_float32_allows(client: Client) -> None:
    """No digits that float32 does not have."""
    text = client.post("/predict/timeseries?attention=none", json={"sequence": SERIES}).text

    assert max(len(part) for part in text.replace(",", ":").split(":") if part[:2] == "0.") <= 16
