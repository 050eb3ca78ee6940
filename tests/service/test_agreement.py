"""One worker proposes, the others prepare: all commit, or none."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog

from service.agreement import Agreement, Proposal
from service.versions import Found, FoundVersion, Verdict, refused

PLAN = {"1": Verdict("a digest"), "2": refused("no good")}


class Member:
    """A worker: what it prepared and committed, and the state that all of them share."""

    def __init__(self, directory: Path, number: int, state: set[str], outcome: str = "served") -> None:
        self.prepared: list[Proposal] = []
        self.committed: list[str] = []
        self.outcome = outcome
        self.agreement = Agreement(directory, self._prepare, self._commit, lambda one: one.name in state, number)

    async def _prepare(self, proposal: Proposal) -> Found:
        self.prepared.append(proposal)
        if self.outcome == "fails":
            raise ArithmeticError("a bug")
        return {"1": FoundVersion(proposal.name, "1", "served" if self.outcome == "served" else "refused")}

    def _commit(self, proposal: Proposal, _: Found) -> None:
        self.committed.append(proposal.name)


def among(
    directory: Path, outcomes: list[str], act: Callable[[list[Member], set[str]], Awaitable[None]]
) -> list[Member]:
    """The members, once that was done among them."""
    state: set[str] = set()
    members = [Member(directory, number, state, outcome) for number, outcome in enumerate(outcomes)]

    async def run() -> None:
        for member in members:
            await member.agreement.listen()
        await act(members, state)
        await asyncio.sleep(0.05)
        for member in members:
            await member.agreement.close()

    asyncio.run(run())
    return members


def test_all_commit(tmp_path: Path) -> None:
    """Once all have prepared the same."""
    told: list[dict[str, str]] = []

    async def act(members: list[Member], _: set[str]) -> None:
        async with members[0].agreement.proposed(Proposal("timeseries", PLAN)) as others:
            told.extend(others)
            assert [member.committed for member in members] == [[], [], []]

    members = among(tmp_path, ["served"] * 3, act)

    assert told == [{"1": "served"}] * 2
    assert [member.committed for member in members] == [[], ["timeseries"], ["timeseries"]]
    assert members[1].prepared == [Proposal("timeseries", PLAN)]
    assert list(tmp_path.glob("*.sock")) == []


def test_none_commits_where_the_proposer_thinks_better_of_it(tmp_path: Path) -> None:
    """What they prepared is dropped."""

    async def act(members: list[Member], _: set[str]) -> None:
        with pytest.raises(ArithmeticError):
            async with members[0].agreement.proposed(Proposal("timeseries", PLAN)):
                raise ArithmeticError("no")

    members = among(tmp_path, ["served"] * 3, act)

    assert [member.committed for member in members] == [[], [], []]


def test_what_the_others_prepared_is_told(tmp_path: Path) -> None:
    """The proposer decides; of a worker that fails nothing is told, and it commits nothing."""
    told: list[dict[str, str]] = []

    async def act(members: list[Member], _: set[str]) -> None:
        async with members[0].agreement.proposed(Proposal("timeseries", PLAN)) as others:
            told.extend(others)

    with structlog.testing.capture_logs() as lines:
        members = among(tmp_path, ["served", "refused", "fails"], act)

    assert told == [{"1": "refused"}]
    assert [member.committed for member in members] == [[], ["timeseries"], []]
    assert [line["event"] for line in lines] == ["proposal failed"]


@pytest.mark.parametrize(("is_written", "committed"), [(False, []), (True, ["timeseries"])])
def test_proposer_that_dies(tmp_path: Path, is_written: bool, committed: list[str]) -> None:
    """Between asking and telling: the state says whether it was decided."""

    async def act(members: list[Member], state: set[str]) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "worker-1.sock")
        writer.write(Proposal("timeseries", PLAN).line())
        await reader.readline()
        state.update({"timeseries"} if is_written else {"another model"})
        writer.close()

    members = among(tmp_path, ["served", "served"], act)

    assert members[1].committed == committed


def test_worker_that_died_is_passed_over(tmp_path: Path) -> None:
    """Its socket is still there."""

    async def act(members: list[Member], _: set[str]) -> None:
        assert members[1].agreement._server is not None
        members[1].agreement._server.close()
        async with members[0].agreement.proposed(Proposal("timeseries", PLAN)) as others:
            assert others == [{"1": "served"}]

    members = among(tmp_path, ["served"] * 3, act)

    assert [member.committed for member in members] == [[], [], ["timeseries"]]
