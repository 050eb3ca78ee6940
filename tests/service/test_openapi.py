"""/openapi.json: valid, complete, and true."""

import warnings
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from tests.service.client import Client
from tests.service.conftest import PIXEL, SERIES


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    """The document as it is served."""
    served: dict[str, Any] = client.get("/openapi.json").json()
    return served


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every operation by its path."""
    return {path: operation for path, methods in document["paths"].items() for operation in methods.values()}


def schema(document: dict[str, Any], operation: dict[str, Any], status: int) -> dict[str, Any]:
    """The schema of one of an operation's answers, with what it refers to."""
    (content,) = operation["responses"][str(status)]["content"].values()
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
            assert list(response["content"]) == ["application/json" if status == "200" else "application/problem+json"]
        if path.startswith("/predict"):
            assert {"400", "404", "413", "415", "503"} <= operation["responses"].keys()
            assert [one["name"] for one in operation["parameters"]] == ["attention", "label", "model", "version"]
            assert operation["requestBody"]["content"]["application/json"]["examples"]
    media_types = operations(document)["/predict/image"]["requestBody"]["content"].keys()
    assert media_types == {"image/*", "multipart/form-data", "application/json"}


@pytest.mark.parametrize(
    ("method", "url", "path", "body", "status"),
    [
        ("POST", "/predict/timeseries", None, {"sequence": SERIES}, 200),
        ("POST", "/predict/timeseries?attention=full", None, {"sequence": SERIES}, 200),
        ("POST", "/predict/timeseries?attention=none", None, {"sequence": SERIES}, 200),
        ("POST", "/predict/timeseries/batch", None, {"sequences": [SERIES] * 2}, 200),
        ("POST", "/predict/image", None, {"image": PIXEL}, 200),
        ("POST", "/predict/image/batch", None, {"images": [PIXEL] * 2}, 200),
        ("GET", "/models", None, None, 200),
        ("GET", "/models/image", "/models/{name}", None, 200),
        ("GET", "/models/image/samples", "/models/{name}/samples", None, 200),
        ("GET", "/v2/health/live", None, None, 200),
        ("GET", "/v2/health/ready", None, None, 200),
        ("POST", "/predict/timeseries", None, {"sequence": 1}, 422),
        ("POST", "/predict/timeseries?model=x", None, {"sequence": SERIES}, 404),
        ("GET", "/models/x", "/models/{name}", None, 404),
    ],
)
def test_answers_are_as_documented(
    client: Client, document: dict[str, Any], method: str, url: str, path: str | None, body: Any, status: int
) -> None:
    """Real answers validate against their schema."""
    response = client.request(method, url, json=body) if body else client.request(method, url)

    assert response.status_code == status
    operation = operations(document)[path or url.partition("?")[0]]
    with warnings.catch_warnings():
        jsonschema.validate(response.json(), schema(document, operation, status))


@pytest.mark.parametrize("path", ["/predict/timeseries/batch", "/predict/image", "/predict/image/batch"])
def test_examples_are_taken(client: Client, document: dict[str, Any], path: str) -> None:
    """What the document shows as a body is a body: read, and answered where its length fits the model."""
    content = operations(document)[path]["requestBody"]["content"]["application/json"]
    example = content["examples"]["example"]["value"]

    jsonschema.validate(example, content["schema"])
    query = "?model=any_length" if "timeseries" in path else ""
    assert client.post(path + query, json=example).status_code == 200
