"""/openapi.json: valid, complete, and true."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate
from pydantic import SecretStr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access_log import AccessLog
from service.metrics import Unmetered
from service.request_log import RequestLog
from service.settings import Settings
from tests.service.client import Client, running
from tests.service.conftest import PIXEL, SERIES
from tests.service.loading import loading
from tests.service.tiny_models import image_model, publish, timeseries_model


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    """The document as it is served."""
    served: dict[str, Any] = client.get("/openapi.json").json()
    return served


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every operation by its path."""
    return {path: operation for path, methods in document["paths"].items() for operation in methods.values()}


def schema(document: dict[str, Any], operation: dict[str, Any], status: int) -> dict[str, Any]:
    """The schema of one of an operation's answers in JSON, with what it refers to."""
    (content,) = (
        content
        for media_type, content in operation["responses"][str(status)]["content"].items()
        if media_type in ("application/json", "application/problem+json")
    )
    return {**content["schema"], "components": document["components"]}


def test_document_is_valid(document: dict[str, Any]) -> None:
    """By the OpenAPI project's own schema."""
    validate(document)


def test_everything_is_described(document: dict[str, Any]) -> None:
    """Operations, parameters, bodies with examples, and every error as a problem."""
    for path, operation in operations(document).items():
        assert operation["description"]
        assert {"200", "406", "422", "500"} <= operation["responses"].keys()
        assert all(one.get("description") for one in operation.get("parameters", []) if one["in"] == "query")
        for status, response in operation["responses"].items():
            assert response["description"]
            given = ["application/problem+json"] if status != "200" else TYPES.get(path, ["application/json"])
            assert list(response["content"]) == given
        if path.startswith("/predict"):
            assert {"400", "404", "413", "415", "503"} <= operation["responses"].keys()
            query = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
            of_pictures = [] if path.endswith("/batch") else ["width", "look"]
            assert query == ["attention", "label", "model", "version", *of_pictures]
            assert operation["requestBody"]["content"]["application/json"]["examples"]
    media_types = operations(document)["/predict/image"]["requestBody"]["content"].keys()
    assert media_types == {"image/*", "multipart/form-data", "application/json"}


@pytest.fixture(scope="module")
def loading_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A service whose models are all still loading."""
    folder = tmp_path_factory.mktemp("loading")
    held = publish(folder, "image", "1", image_model(), [])
    publish(folder, "timeseries", "1", timeseries_model(), [])
    with loading(Settings(model_repository=folder), held) as (service, _):
        yield service


@pytest.fixture
def broken_client(client: Client) -> Client:
    """A service with a bug in whatever it is asked."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("a bug")

    return Client(RequestLog(broken, AccessLog(Unmetered())), client.portal)


@pytest.fixture(scope="module")
def locked_client(repository: Path) -> Iterator[Client]:
    """A service that asks for a key."""
    with running(
        Settings(model_repository=repository, api_keys=SecretStr("a-key-of-the-tests")), is_loaded=False
    ) as it:
        yield it


@pytest.fixture(scope="module")
def uncounted_client(repository: Path) -> Iterator[Client]:
    """A service that counts nothing."""
    with running(Settings(model_repository=repository, metrics=False), is_loaded=False) as it:
        yield it


@pytest.fixture(scope="module")
def controlled_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A service whose models are loaded and unloaded by request."""
    folder = tmp_path_factory.mktemp("controlled")
    publish(folder, "timeseries", "1", timeseries_model())
    with running(Settings(model_repository=folder, model_control="explicit", max_body_bytes=400_000)) as it:
        yield it


@pytest.fixture(scope="module")
def hurried_client(repository: Path) -> Iterator[Client]:
    """A service whose requests have no time."""
    with running(Settings(model_repository=repository, request_timeout_ms=1)) as it:
        yield Client(_late(it.app, 0.05), it.portal)


@pytest.fixture(scope="module")
def waiting_client(repository: Path) -> Iterator[Client]:
    """A service whose clients send no body for a second."""
    with running(Settings(model_repository=repository, body_timeout_seconds=1)) as it:
        yield Client(_late(it.app, 3), it.portal)


def _late(app: ASGIApp, seconds: float) -> ASGIApp:
    async def with_late_body(scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_late() -> Message:
            await asyncio.sleep(seconds)
            return await receive()

        await app(scope, receive_late, send)

    return with_late_body


@pytest.fixture
def others(
    loading_client: Client,
    broken_client: Client,
    locked_client: Client,
    hurried_client: Client,
) -> dict[int, Client]:
    """The services that answer with other statuses."""
    return {401: locked_client, 500: broken_client, 503: loading_client, 504: hurried_client}


BODIES: dict[str, Any] = {
    "/predict/timeseries": {"sequence": SERIES},
    "/predict/timeseries/batch": {"sequences": [SERIES, SERIES]},
    "/predict/image": {"image": PIXEL},
    "/predict/image/batch": {"images": [PIXEL, PIXEL]},
}
MODEL, VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
INFERENCES: dict[str, Any] = {
    path + "/infer": {"inputs": [{"name": "sequence", "shape": [1, 10, 2], "datatype": "FP32", "data": [SERIES]}]}
    for path in (MODEL, VERSION)
}
PICTURES = ["image/svg+xml", "image/png", "application/vnd.vegalite.v5+json"]
TYPES = {
    **{path: ["application/json", *PICTURES] for path in ("/predict/timeseries", "/predict/image")},
    "/metrics": ["text/plain", "application/openmetrics-text"],
    **{path: ["application/json", "application/octet-stream"] for path in INFERENCES},
}
OF_MODEL = {path + end: path + end for path in (MODEL, VERSION) for end in ("", "/ready", "/config", "/stats")}
PROTOCOL = {path: path for path in ("/v2", "/v2/", "/v2/models/stats")} | OF_MODEL
CHANGES = [f"/v2/repository/models/{{name}}/{change}" for change in ("load", "unload")]
CONTROL = ["/v2/repository/index", *CHANGES]
READ = {"/models": "/models", "/models/{name}": "/models/image", "/models/{name}/samples": "/models/image/samples"}
ASKED = {
    path: path.format(name="timeseries", version="1")
    for path in (*BODIES, *INFERENCES, *PROTOCOL, *CONTROL, "/v2/health/live", "/v2/health/ready", "/metrics")
} | READ
# What provokes each status on a path that takes a body, and on one that does not.
WITH_BODY: dict[int, dict[str, Any]] = {
    200: {},
    400: {"json": None, "content": b"{", "headers": {"Content-Type": "application/json"}},
    401: {},
    404: {"params": {"model": "nope"}},
    406: {"headers": {"Accept": "text/html"}},
    408: {},
    413: {"json": None, "content": bytes(400_001)},
    415: {"headers": {"Content-Type": "text/plain"}},
    422: {"params": {"nope": "1"}},
    500: {},
    503: {},
    504: {},
}
CONTROLLED: dict[int, dict[str, Any]] = {
    **{status: WITH_BODY[status] for status in (200, 400, 401, 406, 408, 413, 422, 500)},
    504: {"headers": {"X-Request-Timeout-Ms": "1"}},
}
# Where a worker cannot do what the others can, or has no files left: test_control.py, test_shortage.py.
PROVOKED_ELSEWHERE = {(path, 503) for path in (*CHANGES, "/metrics", "/v2/models/stats")}
WITHOUT_BODY: dict[int, dict[str, Any]] = {status: WITH_BODY[status] for status in (200, 406, 422, 500)}
PROVOKED: dict[tuple[str, int], dict[str, Any]] = {
    **{(path, status): {"json": body, **how} for path, body in BODIES.items() for status, how in WITH_BODY.items()},
    **{(path, status): {"json": body, **how} for path, body in INFERENCES.items() for status, how in WITH_BODY.items()},
    **{(path, 404): {"json": {}, "url": path.format(name="nope", version="1")} for path in INFERENCES},
    **{
        (path, status): how
        for path in ASKED
        if path not in (*BODIES, *INFERENCES, *CONTROL)
        for status, how in WITHOUT_BODY.items()
    },
    **{(path, status): how for path in CONTROL for status, how in CONTROLLED.items()},
    **{(path, 403): {} for path in CHANGES},
    **{(path, 404): {"url": path.format(name="nope")} for path in CHANGES},
    **{(path, 401): {} for path in (*READ, *PROTOCOL, "/metrics")},
    **{(path, 404): {"url": path.format(name="nope", version="1")} for path in OF_MODEL},
    **{(path, 503): {} for path in OF_MODEL},
    ("/v2/models/stats", 404): {},
    ("/models/{name}", 404): {"params": {"version": "9"}},
    ("/models/{name}/samples", 404): {"params": {"version": "9"}},
    ("/models/{name}/samples", 503): {},
    ("/v2/health/ready", 503): {},
}


@pytest.fixture(scope="module")
def too_late(waiting_client: Client) -> dict[str, httpx.Response]:
    """What each path says to who sends no body. All are asked at once: each waits for a second."""
    paths = [path for path, status in PROVOKED if status == 408]
    with ThreadPoolExecutor(len(paths)) as pool:
        answers = pool.map(lambda path: waiting_client.post(**{"url": ASKED[path], **PROVOKED[path, 408]}), paths)
        return dict(zip(paths, answers, strict=True))


def test_every_documented_status_is_provoked(document: dict[str, Any]) -> None:
    """The following test leaves none out."""
    documented = {
        (path, int(status)) for path, operation in operations(document).items() for status in operation["responses"]
    }

    assert PROVOKED.keys() == documented - PROVOKED_ELSEWHERE


@pytest.mark.parametrize(("path", "status"), PROVOKED)
def test_answers_are_as_documented(
    client: Client,
    uncounted_client: Client,
    controlled_client: Client,
    others: dict[int, Client],
    too_late: dict[str, httpx.Response],
    document: dict[str, Any],
    path: str,
    status: int,
) -> None:
    """A real answer of every operation and status validates against its schema."""
    service = others.get(status, controlled_client if path in CONTROL and status != 403 else client)
    service = uncounted_client if (path, status) == ("/v2/models/stats", 404) else service
    method = "POST" if path in (*BODIES, *INFERENCES, *CONTROL) else "GET"

    how = {"url": ASKED[path], **PROVOKED[path, status]}
    response = too_late[path] if status == 408 else service.request(method, **how)

    assert response.status_code == status
    given = response.headers["content-type"].partition(";")[0]
    assert given in operations(document)[path]["responses"][str(status)]["content"]
    if given == "text/plain":
        return
    jsonschema.validate(response.json(), schema(document, operations(document)[path], status))
    assert status == 200 or response.json()["status"] == status


@pytest.mark.parametrize("attention", ["full", "none"])
@pytest.mark.parametrize("path", BODIES)
def test_every_amount_of_attention_is_as_documented(
    client: Client, document: dict[str, Any], path: str, attention: str
) -> None:
    """With every axis and with none, one input and several."""
    response = client.post(path, json=BODIES[path], params={"attention": attention})

    jsonschema.validate(response.json(), schema(document, operations(document)[path], 200))


@pytest.mark.parametrize("path", [*BODIES, *INFERENCES, *CONTROL])
def test_examples_work_when_pasted(
    controlled_client: Client, client: Client, document: dict[str, Any], path: str
) -> None:
    """What the document shows as a body, on the path that it shows, is answered by models like those that Heed brings;
    the schemas know body and answer.
    """
    operation = operations(document)[path]
    content = operation["requestBody"]["content"]["application/json"]
    names = {one["name"]: one["example"] for one in operation["parameters"] if one["in"] == "path"}
    service = controlled_client if path in CONTROL else client
    for example in content["examples"].values():
        answer = service.post(path.format(**names), json=example["value"])

        jsonschema.validate(example["value"], {**content["schema"], "components": document["components"]})
        assert answer.status_code == 200, answer.text
        jsonschema.validate(answer.json(), schema(document, operation, 200))
