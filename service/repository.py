"""The models: found in a folder, loaded by a plan, and handed out by name and version."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from models import layout
from models.contract import ContractError, Task
from service.batcher import Batcher
from service.problems import ControlFailed, InvalidInput, ModelLoading, UnknownModel, UnknownVersion
from service.session import GraphError, Session
from service.trial import MOST_REASON, TrialError, Trials
from service.version_files import RefusedError, VersionFiles, read_version
from service.versions import Found, FoundVersion, Plan, ServedModel, Verdict, refused

SEE_LOG = "it could not be loaded; the server's log says why"


@dataclass(frozen=True)
class Policy:
    """Which versions of a model are served: so many of the highest, all where it is 0; and which is the default where
    that is not the highest.
    """

    most_versions: int = 0
    defaults: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Repository:
    """Folder `<name>/<version>/model.onnx`. `batcher_of`: name, version, session → the batcher of a version that is
    served from then on. `load_graph`: the model's bytes and its pace, where that is known already. `trials`: where
    graphs are tried out before they are loaded here.
    """

    folder: Path
    batcher_of: Callable[[str, str, Session], Batcher]
    load_graph: Callable[..., Session] = Session
    policy: Policy = field(default_factory=Policy)
    trials: Trials | None = None
    versions: dict[str, Found] = field(default_factory=dict)
    # The default of each model none of whose versions is loading: what nearly every request asks for.
    _defaults: dict[str, ServedModel] = field(default_factory=dict)

    def discover(self) -> None:
        """List what there is. What has no name or number as they should be is passed over."""
        try:
            for name in self.names_on_disk():
                self._discover(name)
        except ControlFailed as error:
            structlog.get_logger("service.repository").error("models could not be listed", reason=error.detail)

    def _discover(self, name: str) -> None:
        try:
            versions = self.versions_on_disk(name)
        except ControlFailed as error:
            # One that cannot be read must not keep the others from being served.
            structlog.get_logger("service.repository").error("model not found", model=name, reason=error.detail)
            return
        if versions:
            self.versions[name] = {version: FoundVersion(name, version) for version in versions}

    def names_on_disk(self) -> list[str]:
        """The models that the folder has now. Raises ControlFailed."""
        with _reading():
            return [model.name for model in layout.models(self.folder)]

    def versions_on_disk(self, name: str) -> list[str]:
        """The versions that the policy chooses, of those that a model's folder has now, in their order. Raises
        ControlFailed where it cannot be read: what cannot be seen is not gone.
        """
        if not layout.MODEL_NAME.fullmatch(name):
            return []
        with _reading():
            every = [str(number) for number in layout.versions(self.folder / name)]
        chosen = every[-self.policy.most_versions :]
        pinned = self.policy.defaults.get(name)
        return [pinned, *chosen] if pinned in every and pinned not in chosen and pinned is not None else chosen

    def check_readable(self) -> None:
        """Raises ControlFailed where the folder is not there or cannot be read."""
        with _reading():
            os.scandir(self.folder).close()

    def warn_if_idle(self) -> None:
        """Say so where everything is loaded and nothing is served."""
        if not self.is_ready:
            reason = "every version found was refused" if self.versions else "the repository has none"
            structlog.get_logger("service.repository").warning(f"no model is served: {reason}")

    async def examined(self, name: str) -> Plan:
        """What should become of each version in the model's folder, as it is now. Files that are known already, by
        their digest, keep their verdict; others are tried out.
        """
        plan: Plan = {}
        for version in self.versions_on_disk(name):
            known = self.versions.get(name, {}).get(version)
            plan[version] = await self._examined(name, version, known)
        return plan

    async def _examined(self, name: str, version: str, known: FoundVersion | None) -> Verdict:
        try:
            files = await asyncio.to_thread(self._files, name, version)
        except RefusedError as error:
            return refused(str(error))
        if known and known.served and known.digest == files.digest:
            return Verdict(files.digest, pace=known.served.session.pace)
        if self.trials is None:
            return await asyncio.to_thread(self._tried_out_here, name, version, files.digest)
        try:
            model = await asyncio.to_thread(files.read_model)
            return Verdict(files.digest, pace=await self.trials.pace_of(model))
        except (RefusedError, TrialError) as error:
            return refused(str(error), files.digest)
        except OSError as error:
            return refused(f"it could not be tried out: {error.strerror}", files.digest)
        except Exception:  # noqa: BLE001  # one model must not keep the others from being loaded
            structlog.get_logger("service.repository").exception("trial failed", model=name, version=version)
            return refused(SEE_LOG, files.digest)

    def _files(self, name: str, version: str) -> VersionFiles:
        limits = [self.trials.most_model_bytes] if self.trials else []
        return read_version(self.folder, name, version, *limits)

    def _tried_out_here(self, name: str, version: str, digest: str) -> Verdict:
        found = self._loaded(name, version, Verdict(digest))
        return Verdict(digest, pace=found.served.session.pace) if found.served else refused(str(found.reason), digest)

    async def end_trials(self) -> None:
        """Once a folder is examined, nothing is tried out for a time."""
        if self.trials is not None:
            await self.trials.close()

    async def prepared(self, name: str, plan: Plan) -> Found:
        """Each version of the plan, loaded and warmed, while what is served now goes on. What is loaded already is
        kept. One that cannot be loaded after all is refused.
        """
        found: Found = {}
        for version, verdict in plan.items():
            known = self.versions.get(name, {}).get(version)
            if known and known.served and known.digest == verdict.digest:
                found[version] = FoundVersion(name, version, "served", verdict.reason, known.served, known.digest)
            elif verdict.is_refused:
                found[version] = FoundVersion(name, version, "refused", verdict.reason)
            else:
                found[version] = await asyncio.to_thread(self._loaded, name, version, verdict)
        return found

    def commit(self, name: str, found: Found) -> None:
        """From now on these versions answer, and those that were served before and are not among them retire: requests
        that hold one are answered by it.
        """
        before = self.versions.get(name, {})
        if found:
            self.versions[name] = found
        else:
            self.versions.pop(name, None)
        default = self.default_version(name) if found else None
        self._defaults.pop(name, None)
        if default and default.served:
            self._defaults[name] = default.served
        for one in found.values():
            _log(one, before.get(one.version))
        for version in before.keys() - found.keys():
            if before[version].served:
                structlog.get_logger("service.repository").info("model retired", model=name, version=version)

    @property
    def is_ready(self) -> bool:
        """Everything was loaded or refused, and at least one version is served."""
        statuses = [one.status for versions in self.versions.values() for one in versions.values()]
        return "loading" not in statuses and "served" in statuses

    def default_version(self, name: str) -> FoundVersion | None:
        """The pinned version, or the highest that is served; None where it is not served."""
        found = self.versions[name]
        pinned = self.policy.defaults.get(name)
        if pinned is not None:
            return found[pinned] if pinned in found and found[pinned].served else None
        return next((one for one in reversed(found.values()) if one.served), None)

    def served(self, name: str, version: str | None) -> ServedModel:
        """The version asked for, or the default one. Raises UnknownModel, UnknownVersion or ModelLoading."""
        if version is None and name in self._defaults:
            return self._defaults[name]
        found = self.versions_of(name)
        if version is not None:
            return _served(self.version_of(name, version))
        if any(one.status == "loading" for one in found.values()):
            raise _loading(name)
        if name in self.policy.defaults:
            raise UnknownVersion(f"the default of model '{name}' is version {self.policy.defaults[name]}, "
                                 "which is not served")  # fmt: skip
        last = list(found.values())[-1]
        raise UnknownModel(f"model '{name}' was refused when it was loaded: {last.reason}")

    def served_for(self, task: Task, name: str, version: str | None) -> ServedModel:
        """As `served`, and of the task that the route answers. Raises InvalidInput too."""
        model = self.served(name, version)
        if model.contract.task != task:
            raise InvalidInput(f"model '{name}' has task {model.contract.task}, this route takes models of task {task}")
        return model

    def versions_of(self, name: str) -> Found:
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

    def _loaded(self, name: str, version: str, verdict: Verdict) -> FoundVersion:
        try:
            files = self._files(name, version)
            if files.digest != verdict.digest:
                raise RefusedError("its files changed while it was loaded")
            served = self._served_model(name, version, files, verdict)
        except (RefusedError, ContractError, GraphError) as error:
            return FoundVersion(name, version, "refused", str(error)[:MOST_REASON])
        except Exception:  # noqa: BLE001  # one file must not keep the others from being loaded
            structlog.get_logger("service.repository").exception("loading failed", model=name, version=version)
            return FoundVersion(name, version, "refused", SEE_LOG)
        return FoundVersion(name, version, "served", None, served, files.digest)

    def _served_model(self, name: str, version: str, files: VersionFiles, verdict: Verdict) -> ServedModel:
        session = self.load_graph(files.read_model(), verdict.pace)
        return ServedModel(name, version, session, self.batcher_of(name, version, session), files.samples)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ControlFailed(f"the repository cannot be read: {error.strerror}; what is served stays") from error


def _log(now: FoundVersion, before: FoundVersion | None) -> None:
    logger = structlog.get_logger("service.repository").bind(model=now.name, version=now.version)
    if now.reason is not None and (before is None or now.reason != before.reason):
        logger.warning("model refused", reason=now.reason)
    elif now.served and (before is None or before.served is not now.served):
        logger.info("model served", task=now.served.contract.task)


def _served(found: FoundVersion) -> ServedModel:
    if found.status == "loading":
        raise _loading(found.name)
    if found.served is None:
        raise UnknownVersion(f"version {found.version} of model '{found.name}' was refused: {found.reason}")
    return found.served


def _loading(name: str) -> ModelLoading:
    return ModelLoading(f"model '{name}' is still loading; try again in a second", {"Retry-After": "1"})
