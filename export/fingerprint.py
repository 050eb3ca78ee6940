"""The fingerprint of a model: recipe, data and the code that makes it. The same fingerprint, the same model."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import onnx
import orjson

from export.publishing import versions
from export.recipes import Recipe
from models.contract import ContractError, read_contract

ROOT = Path(__file__).parent.parent
CODE = ("export", "models")


def fingerprint(recipe: Recipe) -> str:
    """SHA-256 over every field of the recipe, the data's own hash, and the sources of export/ and models/."""
    digest = hashlib.sha256(orjson.dumps(asdict(recipe), option=orjson.OPT_SORT_KEYS))
    digest.update(recipe.data.card().sha256.encode())
    for path in sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def is_published(recipe: Recipe, model: Path) -> bool:
    """Whether the newest version in a model's folder was made by the same recipe, from the same data, with the same
    code."""
    return published_fingerprint(model) == fingerprint(recipe)


def published_fingerprint(model: Path) -> str | None:
    """The fingerprint in the newest version of a model's folder, or None where there is none that says so."""
    newest = model / str(max(versions(model), default=0)) / "model.onnx"
    if not newest.is_file():
        return None
    try:
        file = onnx.load(newest, load_external_data=False)
        contract = read_contract({entry.key: entry.value for entry in file.metadata_props})
    except (ContractError, onnx.onnx_cpp2py_export.checker.ValidationError, ValueError):
        return None  # whatever it is, it is not this model
    found = contract.provenance.get("fingerprint")
    return found if isinstance(found, str) else None
