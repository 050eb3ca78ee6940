"""Every knob of the service: an environment variable with the prefix HEED_, one sentence each."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models import layout
from service.api_keys import keys_in_file, keys_in_text
from service.cores import usable_cores
from service.shown import shown
from service.tls import check_certificate, check_key

PREFIX = "HEED_"
# As a browser sends it in the header Origin: lower case, and without a path.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
# Read by the export, in the same environment.
NAMES_OF_OTHERS = ("HEED_DATA",)


def _named(path: object) -> object:
    if path == "":
        raise ValueError("a folder is expected, the value is empty")
    return path


def _existing_folder(path: Path) -> Path:
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise ValueError(f"the folder '{shown(path)}' cannot be read: {error.strerror}") from None
    if not is_folder:
        raise ValueError(f"there is no folder '{shown(path)}'; python -m export writes one")
    return path


def _rooted(path: str) -> str:
    if path and (not path.startswith("/") or path.endswith("/") or not path.isascii()):
        raise ValueError("a root path begins with a slash and does not end with one, as in /heed")
    return path


def _listed(value: object) -> object:
    return [one for one in re.split(r"[,\s]+", value) if one] if isinstance(value, str) else value


def _pinned(value: object) -> object:
    if not isinstance(value, str):
        return value
    pinned: dict[str, str] = {}
    for one in _listed(value):  # type: ignore[attr-defined]  # of a text it is a list
        name, equals, version = one.partition("=")
        if not (equals and layout.MODEL_NAME.fullmatch(name) and layout.VERSION.fullmatch(version)):
            raise ValueError(f"a default is model=version, as in timeseries=3, not '{shown(one)}'")
        if name in pinned:
            raise ValueError(f"model '{shown(name)}' has two defaults")
        pinned[name] = version
    return pinned


def _origin(origin: str) -> str:
    if origin != "*" and not ORIGIN.fullmatch(origin):
        raise ValueError(f"an origin is scheme://host or scheme://host:port, in lower case, not '{shown(origin)}'")
    return origin


def _keys(text: SecretStr | None) -> SecretStr | None:
    if text is not None:
        keys_in_text(text.get_secret_value())
    return text


def _keys_file(path: Path | None) -> Path | None:
    if path is not None:
        keys_in_file(path)
    return path


def _certificate(path: Path | None) -> Path | None:
    if path is not None:
        check_certificate(path)
    return path


def _key_of_certificate(path: Path | None, others: ValidationInfo) -> Path | None:
    # A certificate that was refused is not here, and its own complaint is enough.
    if "tls_certificate" not in others.data or path == others.data["tls_certificate"] is None:
        return path
    certificate = others.data["tls_certificate"]
    if path is None or certificate is None:
        raise ValueError("HEED_TLS_CERTIFICATE and HEED_TLS_KEY are set together or not at all")
    check_key(path, certificate)
    return path


class Settings(BaseSettings):
    """The service's settings, complete and within their bounds once constructed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True
    )

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
    model_control: Literal["none", "explicit"] = Field(
        default="none", description="Whether models are loaded and unloaded by request: none or explicit."
    )
    default_versions: Annotated[dict[str, str], NoDecode, BeforeValidator(_pinned)] = Field(
        default={},
        description="Versions that are the default of a model, as in timeseries=3,image=1; else the highest.",
    )
    served_versions: int = Field(
        default=0, ge=0, le=1000, description="Most versions of a model that are served, the highest ones; 0: all."
    )
    model_trial_seconds: int = Field(
        default=8,
        ge=0,
        le=3600,
        description="CPU seconds that a model may take to load and to warm up, in a process of its own; 0: none tries "
        "it out, where every file is trusted.",
    )
    model_trial_memory_mb: int = Field(
        default=4096, ge=64, le=2**20, description="Memory in MiB that a model may take to load and to warm up."
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
    max_queue_size: int = Field(
        default=512, ge=1, le=1_000_000, description="Most inputs that wait in each worker; who comes then is refused."
    )
    max_batch_size: int = Field(
        default=32, ge=1, le=4096, description="Most inputs in one run; a model that gains nothing from it takes fewer."
    )
    max_queue_delay_ms: float = Field(
        default=0,
        ge=0,
        le=10_000,
        allow_inf_nan=False,
        description="Longest time that the first input of a run waits for others; 0: none waits for company.",
    )
    max_drawings: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Most processes of each worker that draw answers as SVG or PNG, up to 250 MiB each while they do.",
    )
    request_timeout_ms: int = Field(
        default=30_000,
        ge=1,
        description="Longest time a request may take; X-Request-Timeout-Ms on a request shortens it.",
    )
    body_timeout_seconds: int = Field(
        default=30, ge=1, le=3600, description="Longest time in which a request's body must have come whole."
    )
    root_path: Annotated[str, AfterValidator(_rooted)] = Field(
        default="", description="Path prefix that a proxy in front has taken off, as in /heed."
    )
    api_keys: Annotated[SecretStr | None, AfterValidator(_keys)] = Field(
        default=None,
        description="API keys of 16 characters or more, commas or spaces between; without, none is asked for.",
    )
    api_keys_file: Annotated[Path | None, AfterValidator(_keys_file)] = Field(
        default=None, description="File with further API keys, one a line; # begins a comment line."
    )
    open_paths: Annotated[frozenset[Literal["docs", "metrics", "page"]], NoDecode, BeforeValidator(_listed)] = Field(
        default=frozenset({"docs", "page"}),
        description="Which of docs, metrics and page are answered without a key where keys are set.",
    )
    tls_certificate: Annotated[Path | None, AfterValidator(_certificate)] = Field(
        default=None, description="PEM file of the certificate and its chain; with it, HTTPS is spoken instead of HTTP."
    )
    tls_key: Annotated[Path | None, AfterValidator(_key_of_certificate)] = Field(
        default=None, description="PEM file of the certificate's key, without a password."
    )
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_listed)] = (
        Field(
            default=(),
            description="Origins whose pages may read answers, as in https://example.org; * for every one.",
        )
    )
    metrics: bool = Field(default=True, description="Whether requests and runs are counted, for GET /metrics.")
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
        lines.append(f"  {PREFIX}{name.upper()} (default {_as_written(default)})\n      {field.description}")
    return "\n".join(lines)


def _as_written(default: object) -> str:
    if isinstance(default, (frozenset, tuple)):
        default = ",".join(sorted(default))
    return "empty" if default in (None, "", {}) else str(default)


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
        if name.upper().startswith(PREFIX) and name.upper() not in (*known, *NAMES_OF_OTHERS):
            yield name, next(iter(difflib.get_close_matches(name.upper(), known, n=1)), None)
