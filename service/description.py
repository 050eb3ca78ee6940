"""The OpenAPI document: FastAPI's, and what the lean routes check before FastAPI could know of it."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from service.routing import Document, LeanRoute

SCHEMES: Document = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key as Authorization: Bearer …"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "an API key in a header"},
}
EITHER_SCHEME: list[Document] = [{name: []} for name in SCHEMES]
# What a request with a body may have, whichever route it is for.
HEADERS: list[Document] = [
    {
        "name": "X-Request-Timeout-Ms",
        "in": "header",
        "required": False,
        "description": "milliseconds in which the answer is wanted, where the service's own time is too long",
        "schema": {"type": "integer", "minimum": 1},
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "the request's id, 1 to 128 printable characters; without it, one is made",
        "schema": {"type": "string"},
    },
]


def describe(app: FastAPI) -> Document:
    """The document that FastAPI makes once and keeps, with keys and headers in it; a second call adds nothing."""
    document = app.openapi()
    operations = list(_operations(app, document))
    for _, operation in operations:
        if "requestBody" in operation:
            others = [one for one in operation.get("parameters", []) if one not in HEADERS]
            operation["parameters"] = others + HEADERS
    if any(route.keys.are_set for route, _ in operations):
        document.setdefault("components", {})["securitySchemes"] = SCHEMES
        for route, operation in operations:
            operation["security"] = EITHER_SCHEME if route.keys.are_set else []
    return document


def _operations(app: FastAPI, document: Document) -> Iterator[tuple[LeanRoute, dict[str, Any]]]:
    for route in app.routes:
        if isinstance(route, LeanRoute) and route.include_in_schema:
            for method in sorted(route.methods or ()):
                yield route, document["paths"][route.path_format][method.lower()]
