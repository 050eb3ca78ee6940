"""The models: found in a folder, checked, loaded, and handed out by name and version."""

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import orjson
import structlog

from models import layout
from models.answer import Detail, outputs_needed
from models.contract import Contract, ContractError, Task
from models.layout import CHECKSUMS_FILE, MODEL_FILE, SAMPLES_FILE
from service.batcher import Batcher
from service.problems import InvalidInput, ModelLoading, UnknownModel, UnknownVersion
from service.session import GraphError, Session

# Far more than a version needs; a graph is one protocol buffer, and those end at 2 GiB.
MOST_BYTES = {MODEL_FILE: 2**31, SAMPLES_FILE: 64 * 2**20, CHECKSUMS_FILE: 2**20}
CHECKSUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")

Status = Literal["served", "refused", "loading"]


class RefusedError(ValueError):
    """A version that is not served. The message names the fact, never a place on the server."""


@dataclass(frozen=True)
class ServedModel:
    """A version that answers requests. `samples`: the request bodies that came with it, None where none did."""

    name: str
    version: str
    session: Session
    batcher: Batcher
    samples: list[Any] | None

    @cached_property
    def contract(self) -> Contract:
        """What the graph means."""
        return self.session.contract

    @cached_property
    def outputs_of(self) -> dict[Detail, tuple[str, ...]]:
        """The graph's outputs that an answer of each detail needs."""
        return {detail: outputs_needed(self.contract, detail) for detail in get_args(Detail)}

    @cached_property
    def identity(self) -> dict[str, str]:
        """What an answer says about its model."""
        return {"name": self.name, "version": self.version, "task": self.contract.task}


@dataclass(frozen=True)
class FoundVersion:
    """A version folder and what became of it."""

    name: str
    version: str
    status: Status = "loading"
    reason: str | None = None
    served: ServedModel | None = None


@dataclass
class Repository:
    """Folder `<name>/<version>/model.onnx`. `discover` lists it at once, `load` takes its time. `batcher_of`: name,
    version, session → the batcher of a version that is served from then on.
    """

    folder: Path
    batcher_of: Callable[[str, str, Session], Batcher]
    load_graph: Callable[[bytes], Session] = Session
    versions: dict[str, dict[str, FoundVersion]] = field(default_factory=dict)
    # The default of each model none of whose versions is loading: what nearly every request asks for.
    _defaults: dict[str, ServedModel] = field(default_factory=dict)

    def discover(self) -> None:
        """List what there is. What has no name or number as they should be is passed over."""
        for model in layout.models(self.folder):
            versions = [str(number) for number in layout.versions(model)]
            if versions:
                self.versions[model.name] = {version: FoundVersion(model.name, version) for version in versions}

    async def load(self) -> None:
        """Load all that was discovered, one after another. A version that fails is refused, the others go on."""
        for found in [one for versions in self.versions.values() for one in versions.values()]:
            outcome = await asyncio.to_thread(self._loaded, found)
            self.versions[found.name][found.version] = outcome
            self._remember_default(found.name)
        if not self.is_ready:
            reason = "every version found was refused" if self.versions else "the repository has none"
            structlog.get_logger("service.repository").warning(f"no model is served: {reason}")

    @property
    def is_ready(self) -> bool:
        """Everything was loaded or refused, and at least one version is served."""
        statuses = [one.status for versions in self.versions.values() for one in versions.values()]
        return "loading" not in statuses and "served" in statuses

    def default_version(self, name: str) -> FoundVersion | None:
        """The highest version that is served."""
        return next((one for one in reversed(self.versions[name].values()) if one.served), None)

    def served(self, name: str, version: str | None) -> ServedModel:
        """The version asked for, or the default one. Raises UnknownModel, UnknownVersion or ModelLoading."""
        if version is None and name in self._defaults:
            return self._defaults[name]
        found = self.versions_of(name)
        if version is not None:
            return _served(self.version_of(name, version))
        if any(one.status == "loading" for one in found.values()):
            raise _loading(name)
        default = self.default_version(name)
        if default is None:
            last = list(found.values())[-1]
            raise UnknownModel(f"model '{name}' was refused when it was loaded: {last.reason}")
        return _served(default)

    def served_for(self, task: Task, name: str, version: str | None) -> ServedModel:
        """As `served`, and of the task that the route answers. Raises InvalidInput too."""
        model = self.served(name, version)
        if model.contract.task != task:
            raise InvalidInput(f"model '{name}' has task {model.contract.task}, this route takes models of task {task}")
        return model

    def versions_of(self, name: str) -> dict[str, FoundVersion]:
        """All versions found of a model. Raises UnknownModel."""
        if name not in self.versions:
            raise UnknownModel(f"there is no model '{name[:80]}'; GET /models lists those that there are")
        return self.versions[name]

    def version_of(self, name: str, version: str) -> FoundVersion:
        """One version found of a model. Raises UnknownModel or UnknownVersion."""
        found = self.versions_of(name)
        if version not in found:
            raise UnknownVersion(f"model '{name}' has no version '{version[:40]}', it has {', '.join(found)}"[:400])
        return found[version]

    def _remember_default(self, name: str) -> None:
        default = self.default_version(name)
        if default and default.served and all(one.status != "loading" for one in self.versions[name].values()):
            self._defaults[name] = default.served

    def _loaded(self, found: FoundVersion) -> FoundVersion:
        logger = structlog.get_logger("service.repository").bind(model=found.name, version=found.version)
        try:
            served = self._load(self.folder / found.name / found.version, found)
        except (RefusedError, ContractError, GraphError) as error:
            logger.warning("model refused", reason=str(error))
            return replace(found, status="refused", reason=str(error))
        except Exception:  # one file must not keep the others from being loaded
            logger.exception("model refused")
            return replace(found, status="refused", reason="it could not be loaded; the server's log says why")
        logger.info("model served", task=served.contract.task)
        return replace(found, status="served", served=served)

    def _load(self, folder: Path, found: FoundVersion) -> ServedModel:
        model = _read(folder, MODEL_FILE)
        checksums = _checksums(folder)
        _check(MODEL_FILE, model, checksums)
        samples = None
        if SAMPLES_FILE in checksums or (folder / SAMPLES_FILE).exists():
            content = _read(folder, SAMPLES_FILE)
            _check(SAMPLES_FILE, content, checksums)
            samples = _samples(content)
        session = self.load_graph(model)
        return ServedModel(
            found.name, found.version, session, self.batcher_of(found.name, found.version, session), samples
        )


def _served(found: FoundVersion) -> ServedModel:
    if found.status == "loading":
        raise _loading(found.name)
    if found.served is None:
        raise UnknownVersion(f"version {found.version} of model '{found.name}' was refused: {found.reason}")
    return found.served


def _loading(name: str) -> ModelLoading:
    return ModelLoading(f"model '{name}' is still loading; try again in a second", {"Retry-After": "1"})


def _read(folder: Path, name: str) -> bytes:
    try:
        with open(folder / name, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError(f"{name} is not a regular file")
            if status.st_size > MOST_BYTES[name]:
                raise RefusedError(f"{name} has {status.st_size} bytes, at most {MOST_BYTES[name]} are read")
            return file.read()
    except FileNotFoundError as error:
        raise RefusedError(f"there is no {name}") from error
    except OSError as error:
        raise RefusedError(f"{name} cannot be read: {error.strerror}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    # A named pipe would hold its reader until somebody writes.
    return os.open(path, flags | os.O_NONBLOCK)


def _checksums(folder: Path) -> dict[str, str]:
    lines = _read(folder, CHECKSUMS_FILE).decode("utf-8", "replace").splitlines()
    entries = [CHECKSUM_LINE.fullmatch(line) for line in lines if line.strip()]
    return {entry[2]: entry[1].lower() for entry in entries if entry}


def _check(name: str, content: bytes, checksums: dict[str, str]) -> None:
    if name not in checksums:
        raise RefusedError(f"{CHECKSUMS_FILE} has no line for {name}")
    if hashlib.sha256(content).hexdigest() != checksums[name]:
        raise RefusedError(f"the sha256 of {name} is not the one in {CHECKSUMS_FILE}")


def _samples(content: bytes) -> list[Any]:
    try:
        samples = orjson.loads(content)["samples"]
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise RefusedError(f'{SAMPLES_FILE} is not {{"samples": […]}}') from error
    if not isinstance(samples, list):
        raise RefusedError(f'{SAMPLES_FILE} is not {{"samples": […]}}')
    for index, sample in enumerate(samples):
        if not _is_sample(sample):
            raise RefusedError(f'samples[{index}] of {SAMPLES_FILE} is not {{"label": "…", "body": {{…}}}}')
    return samples


def _is_sample(sample: Any) -> bool:
    return isinstance(sample, dict) and isinstance(sample.get("label"), str) and isinstance(sample.get("body"), dict)
