"""Models come and go while the service runs: all workers do as one of them was asked, or none."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from service.agreement import Agreement, Proposal, statuses
from service.control_state import State, read, write
from service.joint_calls import Begin, JointCalls
from service.problems import ControlFailed, ModelRefused, ServingError, UnknownModel
from service.repository import Repository
from service.versions import Found, Plan

LOCK_FILE = "control.lock"
# Who waits for another worker's load looks so often whether it is done.
LOOK_SECONDS = 0.005


class Control:
    """One worker's part in it. What should be served stands in a file: who replaces a dead worker serves it too."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._has_joined = asyncio.Event()
        self._turn_here = asyncio.Lock()
        self._loads = JointCalls()
        self._agreement: Agreement | None = None
        self._logger = structlog.get_logger("service.control")

    async def join(self, directory: Path) -> None:
        """Load what the other workers serve; where these are the first, what there is. `directory` is shared by all
        workers of one service, and by nobody else. Each model answers as soon as it is loaded here.
        """
        self._directory = directory
        self._agreement = Agreement(directory, self._prepare, self._commit, self._holds)
        await self._agreement.listen()
        async with asyncio.TaskGroup() as group:
            examining = group.create_task(self._examine_all())
            for name in list(self._repository.versions):
                plan = await self._planned(name, examining)
                self._repository.commit(name, await self._repository.prepared(name, plan))
        changed = await self._caught_up()
        await self._repository.end_trials()
        self._repository.warn_if_idle()
        self._has_joined.set()
        for name in changed:
            # What the others serve is not in the folder any more: all of them serve what is there now.
            await self._tried(self.load(name), name)

    async def _examine_all(self) -> None:
        """What the first worker that comes finds of each model, all serve. In one turn: whoever has begun has a process
        that tries graphs out, and for another it would have to start.
        """
        async with self._turn():
            for name in list(self._repository.versions):
                state = read(self._directory)
                if name not in state.plans and not state.is_complete:
                    plan = await self._repository.examined(name)
                    write(self._directory, state.with_plan(name, plan) if plan else state)

    async def _planned(self, name: str, examining: asyncio.Task[None]) -> Plan:
        """What was found of the model, as soon as it was."""
        while True:
            is_all = examining.done()
            state = read(self._directory)
            if name in state.plans or state.is_complete or is_all:
                return state.plans.get(name, {})
            await asyncio.sleep(LOOK_SECONDS)

    async def _caught_up(self) -> list[str]:
        """Whatever was loaded and unloaded while this worker came. Models that could not be loaded as planned."""
        async with self._turn():
            state = read(self._directory)
            if not state.is_complete:
                state = replace(state, is_complete=True)
                write(self._directory, state)
            versions = self._repository.versions
            for name in sorted({*versions, *state.plans}):
                plan = state.plans.get(name, {})
                if not _is_as_planned(versions.get(name, {}), plan):
                    self._repository.commit(name, await self._repository.prepared(name, plan))
            return [name for name, plan in state.plans.items() if _unplanned(versions.get(name, {}), plan)]

    async def leave(self) -> None:
        """Take part no more."""
        if self._agreement is not None:
            await self._agreement.close()

    async def load(self, name: str) -> None:
        """Read the model's folder anew: versions that came are served, those that are gone retire.

        Raises UnknownModel where there is no such folder; ModelRefused where the version that would be the default is
        refused: what was served before is served on; ControlFailed where a worker could not do the same.

        Loads that wait for their turn here are one: it begins after all of them were asked for.
        """
        await self._has_joined.wait()
        await self._loads.call(name, partial(self._load, name))

    async def _load(self, name: str, begin: Begin) -> None:
        async with self._turn():
            begin()
            state = read(self._directory)
            self._repository.check_readable()
            plan = await self._examined(name)
            if not plan:
                if name in state.plans:
                    await self._agree(state.without(name, is_unloaded=False), name, {})
                raise UnknownModel(f"the repository has no model '{name[:80]}'")
            reason = self._reason_against(name, plan)
            if reason is not None:
                plan = _kept(state.plans.get(name, {}), plan)
            await self._agree(state.with_plan(name, plan), name, plan)
        if reason is not None:
            raise ModelRefused(f"model '{name}' was not loaded: {reason}")

    async def unload(self, name: str) -> None:
        """Serve the model no more until it is loaded. Raises UnknownModel, ControlFailed."""
        await self._retire(name, is_unloaded=True)

    async def rescan(self) -> None:
        """As if every model were loaded, those excepted that were unloaded; whose folder is gone is served no more."""
        await self._has_joined.wait()
        try:
            self._repository.check_readable()
            there = {name for name in self._repository.names_on_disk() if self._may_have_versions(name)}
        except ControlFailed as error:
            self._logger.warning("not rescanned", reason=error.detail)
            return
        state = read(self._directory)
        for name in sorted({*there, *state.plans} - state.unloaded):
            await self._tried(self.load(name) if name in there else self._retire(name, is_unloaded=False), name)
        self._logger.info("rescanned", models=len(self._repository.versions))

    def _may_have_versions(self, name: str) -> bool:
        try:
            return bool(self._repository.versions_on_disk(name))
        except ControlFailed:  # told when it is loaded
            return True

    async def _examined(self, name: str) -> Plan:
        try:
            return await self._repository.examined(name)
        finally:
            await self._repository.end_trials()

    async def _tried(self, change: Any, name: str) -> None:
        try:
            await change
        except ServingError as error:
            self._logger.warning("model not changed", model=name, reason=error.detail)
        except Exception:  # one model must not keep the others from being read anew
            self._logger.exception("model not changed", model=name)

    async def _retire(self, name: str, is_unloaded: bool) -> None:
        await self._has_joined.wait()
        async with self._turn():
            state = read(self._directory)
            if name not in state.plans:
                raise UnknownModel(f"there is no model '{name[:80]}'; GET /models lists those that there are")
            await self._agree(state.without(name, is_unloaded), name, {})

    def _reason_against(self, name: str, plan: Plan) -> str | None:
        """Why a load fails: the version that would be the default is refused."""
        version = self._repository.policy.defaults.get(name, list(plan)[-1])
        if version not in plan:
            return f"version {version}, which is set as its default, is not there"
        return f"version {version}: {plan[version].reason}" if plan[version].is_refused else None

    async def _agree(self, state: State, name: str, plan: Plan) -> None:
        proposal = Proposal(name, plan)
        assert self._agreement is not None, "it has joined"
        try:
            async with self._agreement.proposed(proposal) as others:
                found = await self._prepare(proposal)
                reason = _unplanned(found, plan)
                if reason is None and any(one != statuses(found) for one in others):
                    reason = "another worker could not load it; the server's log says why"
                if reason is not None:
                    raise ControlFailed(f"model '{name}' is served as before: {reason}")
                write(self._directory, state)
                self._commit(proposal, found)
        except TimeoutError:
            raise ControlFailed(f"model '{name}' is served as before: another worker does not answer") from None
        except OSError as error:
            raise ControlFailed(f"model '{name}' is served as before: {error.strerror}") from error

    async def _prepare(self, proposal: Proposal) -> Found:
        return await self._repository.prepared(proposal.name, proposal.plan)

    def _holds(self, proposal: Proposal) -> bool:
        return read(self._directory).plans.get(proposal.name, {}) == proposal.plan

    def _commit(self, proposal: Proposal, found: Found) -> None:
        self._repository.commit(proposal.name, found)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One change at a time, whichever worker makes it. The system takes the lock from a worker that is killed. Of
        those that wait in one worker, one looks.
        """
        async with self._turn_here:
            try:
                handle = os.open(self._directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise ControlFailed(f"the workers cannot agree: {error.strerror}") from error
            try:
                while True:
                    try:
                        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(LOOK_SECONDS)
                yield
            finally:
                os.close(handle)


def _unplanned(found: Found, plan: Plan) -> str | None:
    """Why a version could not be loaded here that was found good."""
    bad = (one for version, one in found.items() if one.status == "refused" and not plan[version].is_refused)
    return next((f"version {one.version}: {one.reason}" for one in bad), None)


def _is_as_planned(found: Found, plan: Plan) -> bool:
    return found.keys() == plan.keys() and all(
        one.digest == plan[version].digest if one.served else plan[version].is_refused for version, one in found.items()
    )


def _kept(before: Plan, now: Plan) -> Plan:
    """What was served goes on, whatever became of its files; new versions that were refused are shown beside it."""
    kept = {
        version: replace(verdict, reason=now[version].reason if version in now else verdict.reason)
        for version, verdict in before.items()
    }
    both = {**{version: verdict for version, verdict in now.items() if verdict.is_refused}, **kept}
    return {version: both[version] for version in sorted(both, key=int)}
