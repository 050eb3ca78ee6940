"""Between the workers of one service: one proposes, each prepares, then all commit, or none does."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson
import structlog

from service.versions import Found, Plan, Verdict

SOCKET = "worker-{}.sock"
# A plan is a line; a label list or a reason may make it long.
MOST_LINE_BYTES = 2**24
# A worker that has not answered by then hangs, and its parent replaces it.
PATIENCE_SECONDS = 120
COMMIT = b"commit\n"


@dataclass(frozen=True)
class Proposal:
    """What a model should be from now on."""

    name: str
    plan: Plan

    def line(self) -> bytes:
        """As other workers read it."""
        plan = {version: verdict.document() for version, verdict in self.plan.items()}
        document = {"name": self.name, "plan": plan}
        return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def of(cls, line: bytes) -> Self:
        """From a line."""
        document = orjson.loads(line)
        plan = {version: Verdict.of(verdict) for version, verdict in document["plan"].items()}
        return cls(document["name"], plan)


class Agreement:
    """One worker's part: it answers the others' proposals, and makes its own. `holds` says whether the state is as
    proposed, which the proposer writes between asking and telling: by it, those whose proposer is gone meanwhile know
    what holds.
    """

    def __init__(
        self,
        directory: Path,
        prepare: Callable[[Proposal], Awaitable[Found]],
        commit: Callable[[Proposal, Found], None],
        holds: Callable[[Proposal], bool],
        member: int | None = None,
    ) -> None:
        """`member`: its number among the others, by default the process'."""
        self._directory = directory
        self._prepare = prepare
        self._commit = commit
        self._holds = holds
        self._own = directory / SOCKET.format(os.getpid() if member is None else member)
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Take part from now on."""
        self._own.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._answer, self._own, limit=MOST_LINE_BYTES)

    async def close(self) -> None:
        """Take part no more."""
        if self._server is not None:
            self._own.unlink(missing_ok=True)
            self._server.close()

    @asynccontextmanager
    async def proposed(self, proposal: Proposal) -> AsyncIterator[list[dict[str, str]]]:
        """What each other worker has prepared: version → status. At the end of the block all commit; where it raises,
        none does. Whoever is gone meanwhile does what the state says when it comes again.
        """
        async with AsyncExitStack() as stack:
            others = [await stack.enter_async_context(other) for other in self._others()]
            present = [other for other in others if other is not None]
            told = await asyncio.gather(*(other.ask(proposal.line()) for other in present))
            yield [orjson.loads(line) for line in told if line]
            # It holds already: one that does not answer now will find it so.
            await asyncio.gather(*(other.ask(COMMIT) for other in present), return_exceptions=True)

    def _others(self) -> list["_Other"]:
        return [_Other(path) for path in sorted(self._directory.glob(SOCKET.format("*"))) if path != self._own]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            proposal = Proposal.of(await reader.readline())
            found = await self._prepare(proposal)
            with suppress(ConnectionError):
                writer.write(orjson.dumps(statuses(found), option=orjson.OPT_APPEND_NEWLINE))
                await writer.drain()
            if await _next_line(reader) == COMMIT or self._holds(proposal):
                self._commit(proposal, found)
            with suppress(ConnectionError):
                writer.write(b"{}\n")
                await writer.drain()
        except Exception:  # noqa: BLE001  # a proposal that fails here is one that this worker does not agree to
            structlog.get_logger("service.agreement").exception("proposal failed")
        finally:
            writer.close()


def statuses(found: Found) -> dict[str, str]:
    """Of each version."""
    return {version: one.status for version, one in found.items()}


async def _next_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


class _Other:
    """Another worker, as a context; None where there is nobody any more."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Self | None:
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self._path, limit=MOST_LINE_BYTES)
        except (ConnectionRefusedError, FileNotFoundError):
            # It ended without a word. Its number may come again, its socket is then made anew.
            self._path.unlink(missing_ok=True)
            return None
        return self

    async def __aexit__(self, *_: Any) -> None:
        if hasattr(self, "_writer"):
            self._writer.close()

    async def ask(self, line: bytes) -> bytes:
        """Its answer; empty where it ended meanwhile. Raises TimeoutError."""
        try:
            self._writer.write(line)
            await self._writer.drain()
            return await asyncio.wait_for(self._reader.readline(), PATIENCE_SECONDS)
        except ConnectionError:
            return b""
