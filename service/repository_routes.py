"""POST /v2/repository/…: Triton's model repository extension: which versions there are; load; unload."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, TypeAdapter

from service.admission import Admission
from service.api_keys import ApiKeys
from service.control import Control
from service.deadline import Deadlines
from service.problems import (
    BodyTimeout,
    ControlDisabled,
    ControlFailed,
    DeadlinePassed,
    ForeignOrigin,
    InvalidInput,
    MalformedBody,
    ModelRefused,
    NotAcceptable,
    TooLarge,
    Unauthorized,
    UnknownModel,
    documented_problems,
)
from service.repository import Repository
from service.request_body import BodyReader
from service.routing import JSON, Document, Doors, LeanRoute, Received
from service.schemas import Name, Version
from service.validation import StrictBody, validated

# Loading takes as long as it takes; the trial has its own limits.
LONGEST_MS = 600_000
MOST_AT_ONCE = 1000
STATES = {"served": "READY", "refused": "UNAVAILABLE", "loading": "LOADING"}


class IndexBody(StrictBody):
    """What the index is asked for."""

    ready: bool | None = Field(None, description="only what is served", examples=[True])


class IndexEntry(BaseModel):
    """A version of a model in the repository."""

    name: Name
    version: Version
    state: str = Field(description="`READY`, `LOADING` or `UNAVAILABLE`", examples=["READY"])
    reason: str = Field(description="why it is not served; empty where it is", examples=[""])


class LoadBody(StrictBody):
    """How a model is loaded or unloaded: there is nothing to choose."""

    parameters: dict[str, Any] | None = Field(
        None,
        description="`unload_dependents` is taken, and means nothing here",
        examples=[{"unload_dependents": False}],
    )


class Done(BaseModel):
    """All workers have done it."""


@dataclass(frozen=True)
class ModelControl:
    """The handlers of /v2/repository."""

    repository: Repository
    control: Control
    is_allowed: bool

    async def index(self, received: Received) -> Any:
        """Every version that is served or refused, and those in the repository that are neither."""
        asked = validated(IndexBody, received.content or b"{}")
        entries = [
            {"name": one.name, "version": one.version, "state": STATES[one.status], "reason": one.reason or ""}
            for _, versions in sorted(self.repository.versions.items())
            for one in versions.values()
        ]
        entries += [
            {"name": name, "version": version, "state": "UNAVAILABLE", "reason": "not loaded"}
            for name in self.repository.names_on_disk()
            for version in self.repository.versions_on_disk(name)
            if version not in self.repository.versions.get(name, {})
        ]
        return [one for one in entries if not asked.ready or one["state"] == "READY"]

    async def load(self, name: str, received: Received) -> Document:
        """Read the model's folder anew: versions that came are served, those that are gone retire."""
        self._check(received)
        await self.control.load(name)
        return {}

    async def unload(self, name: str, received: Received) -> Document:
        """Serve the model no more. Requests that hold it are answered."""
        self._check(received)
        await self.control.unload(name)
        return {}

    def _check(self, received: Received) -> None:
        if not self.is_allowed:
            raise ControlDisabled("start the service with HEED_MODEL_CONTROL=explicit to load and unload by request")
        origin = received.headers.get("origin")
        if origin is not None and _host_of(origin) != received.headers.get("host"):
            raise ForeignOrigin(f"a page of '{origin[:100]}' may not load or unload models")
        parameters = validated(LoadBody, received.content or b"{}").parameters or {}
        unknown = sorted(name for name, one in parameters.items() if name != "unload_dependents" and one is not None)
        if unknown:
            raise InvalidInput(
                f"the parameter '{unknown[0][:40]}' is not taken: models come from the repository as they are"
            )


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # of no page
        return ""


def repository_routes(control: ModelControl, keys: ApiKeys, reader: BodyReader) -> list[LeanRoute]:
    """The three routes, ready to stand in the application's router. They take no place from predictions, and none is
    taken from them.
    """
    doors = Doors(Admission(MOST_AT_ONCE, deadlines=Deadlines(LONGEST_MS)), reader)
    common = (Unauthorized, NotAcceptable, MalformedBody, InvalidInput, BodyTimeout, TooLarge, DeadlinePassed)
    reading = documented_problems(*common)
    changing = documented_problems(*common, ControlDisabled, ForeignOrigin, UnknownModel, ModelRefused, ControlFailed)
    documented: list[tuple[str, Any, Any, Any, Any]] = [
        ("/v2/repository/index", control.index, list[IndexEntry], (IndexBody, {"ready": True}), reading),
        ("/v2/repository/models/{name}/load", control.load, Done, (LoadBody, {}), changing),
        ("/v2/repository/models/{name}/unload", control.unload, Done, (LoadBody, {}), changing),
    ]
    return [
        LeanRoute(
            path, endpoint, keys=keys, doors=doors, methods=["POST"], tags=["repository"], response_model=answer,
            responses=problems,
            openapi_extra={"requestBody": {"content": {JSON: _documented(body, example)}}},
        )
        for path, endpoint, answer, (body, example), problems in documented
    ]  # fmt: skip


def _documented(body: type[BaseModel], example: Document) -> Document:
    return {"schema": TypeAdapter(body).json_schema(), "examples": {"example": {"value": example}}}
