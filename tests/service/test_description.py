"""/openapi.json as a route like the others, and what it says of every field."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from service.settings import Settings
from tests.service.client import Client, problem, running


def test_head_is_answered(client: Client) -> None:
    """With the length of the document."""
    head = client.request("HEAD", "/openapi.json")

    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(client.get("/openapi.json").content))


def test_accept_and_query_are_looked_at(client: Client) -> None:
    """It is JSON and takes no parameters."""
    problem(client.get("/openapi.json", headers={"Accept": "image/png"}), 406, "not-acceptable")
    problem(client.get("/openapi.json?format=yaml"), 422, "invalid-input")


@pytest.mark.parametrize("root_path", ["", "/heed"])
def test_server_is_where_the_proxy_has_it(tmp_path: Path, root_path: str) -> None:
    """Paths in the document are relative to the root path."""
    with running(Settings(model_repository=tmp_path, root_path=root_path)) as client:
        document = client.get("/openapi.json").json()

    assert document.get("servers") == ([{"url": root_path}] if root_path else None)


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    """The document as it is served."""
    served: dict[str, Any] = client.get("/openapi.json").json()
    return served


def objects(part: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object in the document, with its place."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict) and "type" in part:
            yield place, part
        for name, one in part.items():
            yield from objects(one, f"{place}/{name}")
    elif isinstance(part, list):
        for index, one in enumerate(part):
            yield from objects(one, f"{place}/{index}")


def is_told_elsewhere(schema: dict[str, Any]) -> bool:
    """Whether there is no example to write: a schema of its own has them, or it is a file."""
    inner = schema.get("anyOf", [schema.get("items", schema)])[0]
    return "$ref" in inner or inner.get("format") == "binary"


def test_every_field_has_a_description_and_an_example(document: dict[str, Any]) -> None:
    """In bodies and answers; every parameter and every header too."""
    found = list(objects(document))
    parameters = [
        (f"{path} {one['name']}", one)
        for path, methods in document["paths"].items()
        for operation in methods.values()
        for one in operation.get("parameters", [])
    ]

    assert len(found) > 40
    for place, schema in found:
        for name, field in schema["properties"].items():
            assert field.get("description"), f"{place} {name}"
            assert field.get("examples") or is_told_elsewhere(field), f"{place} {name}"
    for place, parameter in parameters:
        assert parameter.get("description"), place
        assert parameter["schema"].get("examples"), place


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """What a reader is shown of a schema: put together from the examples of its fields."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    return {name: example_of(field, schemas) for name, field in schema.get("properties", {}).items()}


def test_examples_are_what_their_schemas_say(document: dict[str, Any]) -> None:
    """Also those that are put together, as the documentation's pages do."""
    components = document["components"]
    for name, schema in components["schemas"].items():
        if not name.endswith("Form"):
            jsonschema.validate(example_of(schema, components["schemas"]), {**schema, "components": components})


def test_what_has_a_title_stands_once(document: dict[str, Any]) -> None:
    """So that a client made from the document has one class for each: a problem, a body."""
    for methods in document["paths"].values():
        for operation in methods.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (one for body in bodies for one in body.get("content", {}).values()):
                assert not ("properties" in content["schema"] and "title" in content["schema"])
    assert {"Problem", "SequenceBody", "PictureBody", "InferenceRequest"} <= document["components"]["schemas"].keys()


def test_every_tag_is_described(document: dict[str, Any]) -> None:
    """The headings of the documentation's pages say what stands below them, and none stands over nothing."""
    used = {tag for methods in document["paths"].values() for one in methods.values() for tag in one["tags"]}

    assert {one["name"] for one in document["tags"] if one["description"]} == used
