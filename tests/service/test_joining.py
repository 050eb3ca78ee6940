"""Two workers of one service join, both in this process: what one of them finds, both serve."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from service.control import Control
from service.pace import Pace
from service.repository import Repository
from service.trial import Limits, Trials
from tests.service.batching import ON_LOOP, batcher_of
from tests.service.patience import PATIENCE_SECONDS
from tests.service.tiny_models import model_of, publish

NAMES = [f"timeseries-{number}" for number in range(4)]


class Imagined(Trials):
    """Has no process: every graph is good, once what is waited for has come."""

    def __init__(self, waited_for: Callable[[], Awaitable[None]]) -> None:
        super().__init__(Limits())
        self.asked = 0
        self._waited_for = waited_for

    async def pace_of(self, model: bytes) -> Pace:
        """The same for each."""
        self.asked += 1
        await self._waited_for()
        return ON_LOOP


class Pair:
    """Two workers. Each trial lasts until `may_end` says so."""

    def __init__(self, folder: Path, may_end: Callable[["Pair"], bool]) -> None:
        self._may_end = may_end
        self._trials = [Imagined(self._wait) for _ in range(2)]
        self.workers = [Repository(folder, batcher_of, trials=one) for one in self._trials]

    @property
    def asked(self) -> list[int]:
        """How many graphs each had tried out."""
        return [one.asked for one in self._trials]

    def serve(self, name: str) -> bool:
        """Both of them do."""
        return all(worker.versions[name]["1"].status == "served" for worker in self.workers)

    async def join(self) -> None:
        """One service, at the same time."""
        controls = [Control(worker) for worker in self.workers]
        for worker in self.workers:
            worker.discover()
        with TemporaryDirectory() as runtime:
            await asyncio.gather(*[control.join(Path(runtime)) for control in controls])
            for control in controls:
                await control.leave()

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            if self._may_end(self):
                return


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some models."""
    for number, name in enumerate(NAMES):
        publish(tmp_path, name, "1", model_of(number))
    return tmp_path


def joined(pair: Pair) -> Pair:
    """Once they have; in vain no longer than a test waits."""
    asyncio.run(asyncio.wait_for(pair.join(), PATIENCE_SECONDS))
    return pair


def test_one_worker_tries_out_every_model(folder: Path) -> None:
    """It has a process for it by then; the other needs none, and serves the same."""
    pair = joined(Pair(folder, lambda pair: True))

    assert sorted(pair.asked) == [0, len(NAMES)]
    assert all(pair.serve(name) for name in NAMES)


def test_what_was_found_is_served_while_the_next_is_tried_out(folder: Path) -> None:
    """By both: a model that takes long holds up no other."""
    pair = joined(Pair(folder, lambda pair: all(pair.serve(name) for name in NAMES[: sum(pair.asked) - 1])))

    assert sum(pair.asked) == len(NAMES)
