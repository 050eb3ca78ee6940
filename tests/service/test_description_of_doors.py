"""What /openapi.json says of keys, and of the headers of a request with a body."""

import copy
from typing import Any

import pytest
from fastapi import FastAPI
from openapi_spec_validator import validate

from service.api_keys import ApiKeys
from service.description import describe
from service.routing import NO_KEYS, LeanRoute, Received

KEYS = ApiKeys(["a-key-of-the-tests"])
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
EITHER: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}]


async def read(name: str) -> dict[str, Any]:
    """An endpoint without a body."""
    return {"name": name}


async def write(name: str, received: Received) -> dict[str, Any]:
    """An endpoint with a body."""
    return {"name": name, "size": len(received.content)}


def application(keys: ApiKeys) -> FastAPI:
    """One path with a key that is read and written, one that anybody reads, and one that is not documented."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.router.routes += [
        LeanRoute("/locked/{name}", read, keys=keys, methods=["GET"]),
        LeanRoute("/locked/{name}", write, keys=keys, methods=["POST"], openapi_extra=BODY),
        LeanRoute("/open/{name}", read, methods=["GET"]),
        LeanRoute("/hidden/{name}", read, keys=KEYS, methods=["GET"], include_in_schema=False),
    ]
    return app


def headers(operation: dict[str, Any]) -> list[str]:
    """The headers that an operation takes."""
    return [one["name"] for one in operation["parameters"] if one["in"] == "header"]


@pytest.mark.parametrize("keys", [NO_KEYS, KEYS])
def test_document_is_valid(keys: ApiKeys) -> None:
    """By the OpenAPI project's own schema."""
    document = describe(application(keys))

    validate(document)
    assert document["paths"].keys() == {"/locked/{name}", "/open/{name}"}


def test_either_key_is_asked_for_where_keys_are_set() -> None:
    """On every operation that asks for one; the others say that they ask for none."""
    document = describe(application(KEYS))

    schemes = document["components"]["securitySchemes"]
    assert {name: (one["type"], one.get("scheme"), one.get("name")) for name, one in schemes.items()} == {
        "bearer": ("http", "bearer", None),
        "header": ("apiKey", None, "X-API-Key"),
    }
    assert document["paths"]["/locked/{name}"]["get"]["security"] == EITHER
    assert document["paths"]["/locked/{name}"]["post"]["security"] == EITHER
    assert document["paths"]["/open/{name}"]["get"]["security"] == []


def test_no_key_is_told_of_where_none_is_set() -> None:
    """Clients that are made from the document then ask nobody for one."""
    document = describe(application(NO_KEYS))

    assert "securitySchemes" not in document["components"]
    assert not [one for path in document["paths"].values() for one in path.values() if "security" in one]


def test_headers_of_a_request_with_a_body_are_told() -> None:
    """A time and an id, after the parameters that are there anyway; a request without a body has none."""
    path = describe(application(NO_KEYS))["paths"]["/locked/{name}"]

    assert [one["name"] for one in path["post"]["parameters"]] == ["name", "X-Request-Timeout-Ms", "X-Request-ID"]
    assert path["post"]["parameters"][1]["schema"] == {"type": "integer", "minimum": 1, "examples": [250]}
    assert path["post"]["parameters"][2]["schema"]["type"] == "string"
    assert not any(one["required"] for one in path["post"]["parameters"][1:])
    assert headers(path["get"]) == []


def test_second_call_adds_nothing() -> None:
    """Though FastAPI keeps the document that was added to."""
    app = application(KEYS)

    first = copy.deepcopy(describe(app))

    assert describe(app) == first
    assert describe(application(KEYS)) == first
