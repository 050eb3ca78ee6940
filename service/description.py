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
        "schema": {"type": "integer", "minimum": 1, "examples": [250]},
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "the request's id, 1 to 128 printable characters; without it, one is made",
        "schema": {"type": "string", "examples": ["order-42"]},
    },
]
TAGS: list[Document] = [
    {"name": "predictions", "description": "What the models say, and where they looked."},
    {"name": "inference protocol", "description": "The Open Inference Protocol, version 2, and Triton's additions."},
    {"name": "models", "description": "What is served or refused, and inputs to try."},
    {"name": "repository", "description": "Load and unload by request, where HEED_MODEL_CONTROL allows it."},
    {"name": "health", "description": "For whoever starts and watches the service."},
    {"name": "operation", "description": "What was counted."},
]
# What a parameter is, where its route says it by its name alone.
DESCRIPTIONS = {"name": "the model's name", "version": "a version of the model, a number"}
# Of parameters, by their names. They stand in the schema: whoever tries a route out is not made to send them.
EXAMPLES: dict[str, list[Any]] = {
    "attention": ["full"],
    "label": ["0"],
    "look": ["dark"],
    "model": ["timeseries", "image"],
    "name": ["timeseries"],
    "version": ["1"],
    "width": [640],
}


def describe(app: FastAPI) -> Document:
    """The document that FastAPI makes once and keeps, with keys and headers in it; a second call adds nothing."""
    document = app.openapi()
    operations = list(_operations(app, document))
    for _, operation in operations:
        if "requestBody" in operation:
            others = [one for one in operation.get("parameters", []) if one not in HEADERS]
            operation["parameters"] = others + HEADERS
        for parameter in operation.get("parameters", []):
            _complete(parameter)
        _share_schemas(operation, document.setdefault("components", {}).setdefault("schemas", {}))
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


def _complete(parameter: Document) -> None:
    name = parameter["name"]
    if name in DESCRIPTIONS:
        parameter.setdefault("description", DESCRIPTIONS[name])
    if name in EXAMPLES:
        parameter["schema"].setdefault("examples", EXAMPLES[name])
        if parameter["required"]:
            parameter["example"] = EXAMPLES[name][0]


def _share_schemas(operation: Document, schemas: Document) -> None:
    """Objects that have a name as their title stand once in the document: a client made from it has one class for
    each. FastAPI's own titles are words.
    """
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for content in (content for body in bodies for content in body.get("content", {}).values()):
        schema = content.get("schema", {})
        if schema.get("type") == "object" and schema.get("title", "").isidentifier():
            shared = schemas.setdefault(schema["title"], schema)
            assert shared == schema, f"two schemas have the title {schema['title']}"
            content["schema"] = {"$ref": f"#/components/schemas/{schema['title']}"}
