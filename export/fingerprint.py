"""The fingerprint of a model: recipe, data and the code that makes it. The same fingerprint, the same model."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import onnx
import orjson
from google.protobuf.message import DecodeError

from export.publishing import is_whole
from export.recipes import Recipe
from models.contract import ContractError, read_contract
from models.layout import MODEL_FILE, versions

ROOT = Path(__file__).parent.parent
CODE = ("export", "models")


def fingerprint_of(recipe: Recipe, root: Path = ROOT) -> str:
    """SHA-256 over every field of the recipe, the data's own hash, and the sources of export/ and models/ in `root`."""
    digest = hashlib.sha256(orjson.dumps(asdict(recipe), option=orjson.OPT_SORT_KEYS))
    digest.update(recipe.data.card().sha256.encode())
    for path in sorted(path for folder in CODE for path in (root / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def is_published(recipe: Recipe, model: Path) -> bool:
    """Whether the newest version in a model's folder was made by the same recipe, from the same data, with the same
    code, and is still whole."""
    newest = model / str(max(versions(model), default=0))
    return published_fingerprint(newest) == fingerprint_of(recipe) and is_whole(newest)


def published_fingerprint(version: Path) -> str | None:
    """The fingerprint in a version's file, or None where there is none that says so."""
    try:
        file = onnx.load(version / MODEL_FILE, load_external_data=False)
        contract = read_contract({entry.key: entry.value for entry in file.metadata_props})
    except (OSError, DecodeError, ContractError):
        return None  # whatever is there, it is not this model
    found = contract.provenance.get("fingerprint")
    return found if isinstance(found, str) else None
