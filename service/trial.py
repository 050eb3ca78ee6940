"""A graph is tried out in a process of its own, under limits: one that crashes or never ends does it there.

As a module it is that process: graphs on its standard input, each with its length before it; for each a line of JSON.
"""

import asyncio
import contextlib
import os
import resource
import signal
import struct
import sys
from dataclasses import asdict, dataclass

import orjson

from models.contract import ContractError
from service.pace import Pace, pace_of
from service.processes import end_with_parent, hand_over, named

LENGTH = struct.Struct("<Q")
MEBIBYTE = 2**20
# Of what is said of a graph, which may be as long as its names are.
MOST_REASON = 2000
# An idle machine: as long as its core is busy with the graph. A busy one: so many times as long.
WALL_TIMES = 4
# The process itself: the interpreter, NumPy, onnxruntime.
START_SECONDS = 30


class TrialError(ValueError):
    """A graph that is not taken in. Says why."""


@dataclass(frozen=True)
class Limits:
    """What one graph may use: CPU seconds, and memory beside that of the process itself."""

    seconds: int = 8
    memory_mb: int = 4096


class Trials:
    """Graphs are tried out one after another, in one process as long as it lives."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @property
    def most_model_bytes(self) -> int:
        """A larger file could not be loaded within the limits."""
        return self._limits.memory_mb * MEBIBYTE

    async def pace_of(self, model: bytes) -> Pace:
        """How long the graph's runs take, once it was loaded, checked and warmed up. Raises TrialError."""
        async with self._turn:
            try:
                process = await self._started()
                line = await asyncio.wait_for(_asked(process, model), WALL_TIMES * self._limits.seconds)
            except TimeoutError:
                await self._end()
                raise TrialError(self._too_long()) from None
            except BaseException:
                await self._end()
                raise
            if not line:
                raise TrialError(self._cause(await self._end()))
        answer = orjson.loads(line)
        if "error" in answer:
            raise TrialError(answer["error"])
        return pace_of(answer["pace"])

    async def close(self) -> None:
        """End the process; the next graph gets a new one."""
        async with self._turn:
            await self._end()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "service.trial", str(self._limits.seconds), str(self._limits.memory_mb),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                # Ctrl+C in a terminal is for the service: a graph that is being tried out is not bad for it.
                start_new_session=True,
            )  # fmt: skip
            assert self._process.stdout is not None, "it was asked for"
            try:
                await asyncio.wait_for(self._process.stdout.readline(), START_SECONDS)
            except BaseException:
                await self._end()
                raise
        return self._process

    async def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()

    def _cause(self, status: int) -> str:
        if status == -signal.SIGXCPU:
            return self._too_long()
        return f"the process that tried it out ended with {named(status)}; it may use {self._limits.memory_mb} MiB"

    def _too_long(self) -> str:
        return f"to load and to run it takes longer than {self._limits.seconds} s"


async def _asked(process: asyncio.subprocess.Process, model: bytes) -> bytes:
    assert process.stdin is not None, "it was asked for"
    assert process.stdout is not None, "it was asked for"
    # Where it has ended the empty line says so.
    await hand_over(process.stdin, LENGTH.pack(len(model)), model)
    return await process.stdout.readline()


def main() -> None:
    """Try out what comes until nothing comes any more."""
    end_with_parent()
    from service.session import GraphError, Session

    seconds, memory_mb = map(int, sys.argv[1:])
    graphs, answers = sys.stdin.buffer, sys.stdout.buffer
    _limit_memory(memory_mb * MEBIBYTE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _tell(answers, {"ready": True})
    while head := graphs.read(LENGTH.size):
        model = graphs.read(*LENGTH.unpack(head))
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds + 1, resource.RLIM_INFINITY))
        try:
            _tell(answers, {"pace": asdict(Session(model).pace)})
        except (ContractError, GraphError) as error:
            _tell(answers, {"error": str(error)[:MOST_REASON]})
        except MemoryError:
            _tell(answers, {"error": f"it needs more than {memory_mb} MiB"})


def _tell(answers: "object", document: dict[str, object]) -> None:
    answers.write(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE))  # type: ignore[attr-defined]
    answers.flush()  # type: ignore[attr-defined]


def _limit_memory(more: int) -> None:
    """Beside what is mapped now, libraries and reserves included."""
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more, mapped + more))


if __name__ == "__main__":
    main()
