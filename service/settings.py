"""Every knob of the service: an environment variable with the prefix HEED_, one sentence each."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.cores import usable_cores

PREFIX = "HEED_"
LONGEST_SHOWN = 200
# Read by the export, in the same environment.
NAMES_OF_OTHERS = ("HEED_DATA",)
# Documented settings of the interface that this version does not act on, each with the value that asks for nothing.
NAMES_OF_LATER: dict[str, str | None] = {
    "HEED_MODEL_CONTROL": "none",
    "HEED_MAX_QUEUE_SIZE": None,
    "HEED_REQUEST_TIMEOUT_MS": None,
    "HEED_DEFAULT_VERSIONS": None,
    "HEED_API_KEYS": None,
    "HEED_TLS_CERTIFICATE": None,
    "HEED_TLS_KEY": None,
}


def _named(path: object) -> object:
    if path == "":
        raise ValueError("a folder is expected, the value is empty")
    return path


def _existing_folder(path: Path) -> Path:
    # A name need not be UTF-8; what is told about it must be.
    shown = str(path).encode("utf-8", "backslashreplace").decode()[:LONGEST_SHOWN]
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise ValueError(f"the folder '{shown}' cannot be read: {error.strerror}") from None
    if not is_folder:
        raise ValueError(f"there is no folder '{shown}'; python -m export writes one")
    return path


def _rooted(path: str) -> str:
    if path and (not path.startswith("/") or path.endswith("/") or not path.isascii()):
        raise ValueError("a root path begins with a slash and does not end with one, as in /heed")
    return path


class Settings(BaseSettings):
    """The service's settings, complete and within their bounds once constructed."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True)

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for every interface."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(
        default_factory=usable_cores,
        ge=1,
        le=1024,
        description="Processes that answer; by default one for each usable core.",
    )
    model_repository: Annotated[Path, BeforeValidator(_named), AfterValidator(_existing_folder)] = Field(
        default=Path("model_repository"), description="Folder of the models, <name>/<version>/model.onnx."
    )
    max_body_bytes: int = Field(
        default=16 * 2**20, ge=1024, le=2**31, description="Largest request body in bytes, counted after inflating."
    )
    max_image_pixels: int = Field(
        default=50_000_000, ge=1, le=2**31, description="Most pixels of one picture, counted before it is decoded."
    )
    max_batch_inputs: int = Field(
        default=256, ge=1, le=100_000, description="Most inputs in one call to a batch route."
    )
    max_time_steps: int = Field(
        default=100_000,
        ge=1,
        le=2**31,
        description="Most time steps in one call, all its series together; one of a model's own length is taken.",
    )
    root_path: Annotated[str, AfterValidator(_rooted)] = Field(
        default="", description="Path prefix that a proxy in front has taken off, as in /heed."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log lines that are written."
    )
    shutdown_timeout_seconds: int = Field(
        default=30, ge=1, le=3600, description="Longest wait for running requests when stopping."
    )


def settings_help() -> str:
    """Every setting as a line of help: name, default, sentence."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        lines.append(f"  {PREFIX}{name.upper()} (default {str(default) or 'empty'})\n      {field.description}")
    return "\n".join(lines)


def complaints(invalid: ValidationError) -> list[str]:
    """One line for each wrong setting, naming its variable."""
    errors = invalid.errors(include_url=False)
    return [
        f"{PREFIX}{str(error['loc'][0]).upper()}: {error['msg'].removeprefix('Value error, ')}, not {error['input']!r}"
        if error["type"] != "value_error"
        else f"{PREFIX}{str(error['loc'][0]).upper()}: {error['msg'].removeprefix('Value error, ')}"
        for error in errors
    ]


def unknown_names(environment: Mapping[str, str]) -> Iterable[tuple[str, str | None]]:
    """Variables with our prefix that are no setting, each with the setting that was probably meant."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in (*known, *NAMES_OF_OTHERS, *NAMES_OF_LATER):
            yield name, next(iter(difflib.get_close_matches(name.upper(), known, n=1)), None)


def names_of_later(environment: Mapping[str, str]) -> Iterable[str]:
    """Variables that are documented settings and are not in this version, where they ask for something."""
    for name in sorted(environment):
        if name.upper() in NAMES_OF_LATER and environment[name].lower() != NAMES_OF_LATER[name.upper()]:
            yield name
