"""GET /models: what is served, what was refused and why, and samples to try it with."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from models.contract import TensorSpec
from service.api_keys import ApiKeys
from service.problems import (
    InvalidInput,
    ModelLoading,
    NoSamples,
    NotAcceptable,
    Unauthorized,
    UnknownModel,
    UnknownVersion,
    documented_problems,
)
from service.repository import Repository
from service.routing import Document, LeanRoute
from service.schemas import ModelDescription, ModelList, Samples
from service.versions import ServedModel


class VersionQuery(BaseModel, extra="forbid", frozen=True):
    """Which version is meant."""

    version: str | None = Field(None, description="a version of the model; by default the highest that is served")


Asked = Annotated[VersionQuery, Query()]


@dataclass(frozen=True)
class Catalogue:
    """The handlers of /models."""

    repository: Repository

    async def list_models(self) -> Document:
        """All models found, with what became of each version."""
        return {"models": [self._entry(name) for name in sorted(self.repository.versions)]}

    async def describe_model(self, name: str, asked: Asked) -> Document:
        """One model, with contract, card and tensors of its default version or of the version asked for."""
        found = self.repository.versions_of(name)
        default = self.repository.default_version(name)
        chosen = self.repository.version_of(name, asked.version) if asked.version is not None else default
        session = chosen.served.session if chosen and chosen.served else None
        return self._entry(name) | {
            "version": chosen.version if chosen else list(found)[-1],
            "contract": session and session.contract_document,
            "card": session and session.contract_document.get("card", {}),
            "inputs": session and _tensors(session.inputs),
            "outputs": session and _tensors(session.outputs),
            "execution": _execution(chosen.served) if chosen and chosen.served else None,
            "has_samples": chosen.served.samples is not None if chosen and chosen.served else None,
        }

    async def list_samples(self, name: str, asked: Asked) -> Document:
        """A dozen inputs of the model's test data, as request bodies, with their true labels."""
        model = self.repository.served(name, asked.version)
        if model.samples is None:
            raise NoSamples(f"version {model.version} of model '{name}' came without samples")
        return {"model": model.identity, "samples": model.samples}

    def _entry(self, name: str) -> Document:
        versions = self.repository.versions_of(name)
        default = self.repository.default_version(name)
        return {
            "name": name,
            "task": default.served.contract.task if default and default.served else None,
            "default_version": default.version if default else None,
            "versions": [
                {"version": one.version, "status": one.status, "reason": one.reason} for one in versions.values()
            ],
        }


def catalogue_routes(catalogue: Catalogue, keys: ApiKeys) -> list[LeanRoute]:
    """The three routes, ready to stand in the application's router."""
    some = documented_problems(Unauthorized, NotAcceptable, InvalidInput)
    one = documented_problems(Unauthorized, UnknownModel, UnknownVersion, NotAcceptable, InvalidInput)
    samples = documented_problems(
        Unauthorized, UnknownModel, UnknownVersion, NoSamples, NotAcceptable, InvalidInput, ModelLoading
    )
    documented: list[tuple[str, Any, type[BaseModel], Any]] = [
        ("/models", catalogue.list_models, ModelList, some),
        ("/models/{name}", catalogue.describe_model, ModelDescription, one),
        ("/models/{name}/samples", catalogue.list_samples, Samples, samples),
    ]
    return [
        LeanRoute(
            path, endpoint, keys=keys, methods=["GET"], tags=["models"], response_model=answer, responses=problems
        )
        for path, endpoint, answer, problems in documented
    ]


def _execution(model: ServedModel) -> Document:
    batcher, pace = model.batcher, model.session.pace
    return {
        "place": "event loop" if batcher.limits.values_on_loop else "thread",
        "max_batch_size": batcher.limits.max_batch_size,
        "parallel_runs": batcher.limits.parallel_runs,
        "seconds": {str(rows): seconds for rows, seconds in pace.seconds.items()},
    }


def _tensors(specs: dict[str, TensorSpec]) -> Document:
    return {name: {"dtype": spec.dtype, "shape": list(spec.shape)} for name, spec in specs.items()}
