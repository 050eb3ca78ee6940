"""The model repository on disk: `<name>/<version>/` with these files. Written by the export, read by the service."""

import re
from pathlib import Path

MODEL_FILE = "model.onnx"
SAMPLES_FILE = "samples.json"
CHECKSUMS_FILE = "SHA256SUMS"

# Names that begin with a dot are the export's own: versions that are being put together, runs that may go on.
MODEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
VERSION = re.compile(r"0|[1-9][0-9]{0,17}")


def models(repository: Path) -> list[Path]:
    """The models' folders, by name. Empty where there is no repository; raises OSError where it cannot be read."""
    return sorted(_folders(repository, MODEL_NAME))


def versions(model: Path) -> list[int]:
    """The version numbers in a model's folder, in order. Empty where there is none; raises OSError where it cannot be
    read.
    """
    return sorted(int(folder.name) for folder in _folders(model, VERSION))


def _folders(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        entries = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [entry for entry in entries if pattern.fullmatch(entry.name) and _is_folder(entry)]


def _is_folder(entry: Path) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link whose target's name is too long: it hides no other entry
        return False
