#!/usr/bin/env python3
"""Hold the manifests beside this file against published schemas: deploy/kubernetes/check.py SCHEMA…

A schema is a file: Kubernetes' OpenAPI document (JSON), or a CustomResourceDefinition (YAML). A field that it does not
name is an error, as it is to an API server that validates strictly. docs/kubernetes.md tells where the schemas are.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # the only file that reads YAML, so its types are not installed
from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parent
# kubectl reads it, no server does.
KUSTOMIZATION = "kustomization.yaml"
# Where an OpenAPI document has its schemas: version 2, version 3, and what is made of them for JSON Schema.
PLACES = (("definitions",), ("components", "schemas"), ("$defs",))
KINDS = "x-kubernetes-group-version-kind"
INTEGER_OR_STRING = {"type": ["integer", "string"]}

Schema = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What a manifest is of."""

    api_version: str
    name: str


def main() -> int:
    """Print a line for each manifest; 0 where each is as its schema has it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schemas", nargs="+", type=Path)
    parser.add_argument("--manifests", type=Path, default=FOLDER, help="the folder of the manifests")
    arguments = parser.parse_args()
    known = schemas(arguments.schemas)
    wrong = checked = 0
    for path, manifest in manifests(arguments.manifests):
        found = complaints(manifest, known)
        checked += 1
        wrong += bool(found)
        print("WRONG" if found else "ok   ", f"{path}: {manifest.get('apiVersion')} {manifest.get('kind')}")
        for complaint in found:
            print(f"      {complaint}")
    print(f"{checked} manifests, {wrong} wrong")
    return 1 if wrong or not checked else 0


def manifests(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every document of every file for the server, with its path within the folder."""
    for path in sorted(folder.rglob("*.yaml")):
        if path.name != KUSTOMIZATION:
            for manifest in _documents(path):
                yield path.relative_to(folder), manifest


def complaints(manifest: Mapping[str, Any], known: Mapping[Kind, Schema]) -> list[str]:
    """What is wrong with it, each with its place."""
    kind = Kind(manifest.get("apiVersion", ""), manifest.get("kind", ""))
    if kind not in known:
        return [f"no schema is of {kind.api_version} {kind.name}"]
    errors = Draft202012Validator(known[kind]).iter_errors(manifest)
    return sorted(f"{error.json_path}: {error.message}" for error in errors)


def schemas(paths: Sequence[Path]) -> dict[Kind, Schema]:
    """Every kind that the files describe, each as a schema that stands alone."""
    known: dict[Kind, Schema] = {}
    for path in paths:
        found = dict(_of_openapi(json.loads(path.read_text())) if path.suffix == ".json" else _of_definitions(path))
        if not found:
            sys.exit(f"{path}: neither an OpenAPI document of Kubernetes nor a CustomResourceDefinition")
        known |= found
    return known


def _of_openapi(document: Schema) -> Iterator[tuple[Kind, Schema]]:
    for place in PLACES:
        named: Any = document
        for step in place:
            named = named.get(step, {})
        shared: Any = {name: _closed(schema) for name, schema in named.items()}
        for step in reversed(place):
            shared = {step: shared}
        for name, schema in named.items():
            for kind in schema.get(KINDS, ()):
                api_version = "/".join(part for part in (kind["group"], kind["version"]) if part)
                yield Kind(api_version, kind["kind"]), {"$ref": f"#/{'/'.join(place)}/{name}", **shared}


def _of_definitions(path: Path) -> Iterator[tuple[Kind, Schema]]:
    for document in _documents(path):
        if document.get("kind") == "CustomResourceDefinition":
            spec = document["spec"]
            for version in spec["versions"]:
                kind = Kind(f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                yield kind, _closed(version["schema"]["openAPIV3Schema"])


def _closed(schema: Any) -> Any:
    """The schema, as strict validation has it: no field but those that it names."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string":
        return INTEGER_OR_STRING
    closed = {**schema}
    for key in ("items", "additionalProperties", "not"):
        if key in closed:
            closed[key] = _closed(closed[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in closed:
            closed[key] = [_closed(one) for one in closed[key]]
    if "properties" in closed:
        closed["properties"] = {name: _closed(one) for name, one in closed["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed.setdefault("additionalProperties", False)
    return closed


def _documents(path: Path) -> list[Mapping[str, Any]]:
    # The definitions have megabytes, which libyaml reads ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open() as file:
        return [document for document in yaml.load_all(file, loader) if document is not None]


if __name__ == "__main__":
    sys.exit(main())
