"""What the check of the manifests finds, with schemas in the forms in which they are published."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.kubernetes.check import FOLDER, Kind, complaints, schemas

# Of Kubernetes' documents, one small kind, in each of their forms: the place of the schemas and how a port is typed.
FORMS = [
    ("definitions", {"type": "string", "format": "int-or-string"}),
    ("components", {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}),
    ("$defs", {"oneOf": [{"type": ["string", "null"]}, {"type": ["integer", "null"]}]}),
]
DEFINITION = """
kind: CustomResourceDefinition
spec:
  group: example.org
  names: {kind: Gate}
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            spec:
              type: object
              properties:
                width: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {known: {type: string}}}
"""


def _openapi(place: str, port: Any) -> dict[str, Any]:
    prefix = "#/components/schemas" if place == "components" else f"#/{place}"
    named = {
        "example.Door": {
            "type": "object",
            "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "spec": {"allOf": [{"$ref": f"{prefix}/example.Spec"}]},
            },
            "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Door"}],
        },
        "example.Spec": {
            "type": "object",
            "properties": {
                "port": {"$ref": f"{prefix}/example.Port"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "example.Port": port,
    }
    return {"components": {"schemas": named}} if place == "components" else {place: named}


@pytest.mark.parametrize(("place", "port"), FORMS)
@pytest.mark.parametrize(
    ("spec", "is_right"),
    [
        ({"port": 8000, "labels": {"any": "name"}}, True),
        ({"port": "http"}, True),
        ({"port": ["http"]}, False),
        ({"prot": 8000}, False),
        ({"labels": {"any": 1}}, False),
    ],
)
def test_a_manifest_is_as_the_openapi_document_has_it(
    tmp_path: Path, place: str, port: Any, spec: Any, is_right: bool
) -> None:
    """A field of the wrong type is found, and so is one that is misspelt."""
    path = tmp_path / "swagger.json"
    path.write_text(json.dumps(_openapi(place, port)))

    found = complaints({"apiVersion": "v1", "kind": "Door", "spec": spec}, schemas([path]))

    assert (found == []) == is_right
    assert all(complaint.startswith("$.spec") for complaint in found)


@pytest.mark.parametrize(
    ("spec", "is_right"),
    [({"width": 3, "free": {"any": "thing"}}, True), ({"width": "3"}, True), ({"height": 3}, False)],
)
def test_a_manifest_is_as_the_definition_has_it(tmp_path: Path, spec: Any, is_right: bool) -> None:
    """Fields that a definition leaves open stay open, no others."""
    path = tmp_path / "gates.yaml"
    path.write_text(DEFINITION)

    found = complaints({"apiVersion": "example.org/v1", "kind": "Gate", "spec": spec}, schemas([path]))

    assert (found == []) == is_right


def test_a_kind_without_a_schema_is_a_complaint() -> None:
    """What was not looked at is not right."""
    assert complaints({"apiVersion": "v2", "kind": "Door"}, {Kind("v1", "Door"): {}}) == ["no schema is of v2 Door"]


def test_a_file_that_is_no_schema_ends_the_check(tmp_path: Path) -> None:
    """A wrong path must not look like a check that found nothing."""
    path = tmp_path / "other.json"
    path.write_text("{}")

    done = subprocess.run([sys.executable, FOLDER / "check.py", path], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert str(path) in done.stderr
