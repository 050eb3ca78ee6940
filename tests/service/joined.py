"""A repository and its control in this process, the only worker of its service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from service.control import Control
from service.repository import Repository
from tests.service.batching import batcher_of


class Joined(NamedTuple):
    """What a worker has, and the folder that it would share with others."""

    repository: Repository
    control: Control
    runtime: Path


@asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[Joined]:
    """With everything loaded or refused."""
    repository = Repository(folder, batcher_of)
    repository.discover()
    control = Control(repository)
    with TemporaryDirectory() as runtime:
        await control.join(Path(runtime))
        try:
            yield Joined(repository, control, Path(runtime))
        finally:
            await control.leave()


def loaded(folder: Path) -> Repository:
    """As it is once the worker has joined."""

    async def act() -> Repository:
        async with joined(folder) as worker:
            return worker.repository

    return asyncio.run(act())
