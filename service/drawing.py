"""SVG and PNG are drawn in processes of their own: the renderer is large, and holds the interpreter while it draws.

As a module it is such a process: specifications on its standard input, each with what is wanted and its length before
it; for each the drawing, or why there is none, in the same form.
"""

import asyncio
import contextlib
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator

import orjson

from models.rendering import png, svg
from service.problems import DrawingFailed, InvalidInput, Overloaded
from service.processes import end_with_parent, hand_over, named

SVG, PNG = "image/svg+xml", "image/png"
HEAD = struct.Struct("<BQ")
KINDS = {SVG: 0, PNG: 1}
DRAWN, REFUSED = 0, 1
# Pictures that wait for each process; one takes 0.1 to 0.6 s.
WAITING_EACH = 8
# A process of 150 to 250 MiB: it ends once nobody has asked it for so long, or after so many pictures.
IDLE_SECONDS = 60.0
MOST_PICTURES = 500
# Predictions go first where the cores are busy.
NICENESS = 5


class Drawings:
    """Draws as many pictures at once as there are processes; each is started when it is needed."""

    def __init__(self, processes: int, idle_seconds: float = IDLE_SECONDS) -> None:
        self.waiting = 0
        self._most_waiting = WAITING_EACH * processes
        self._turns = asyncio.Semaphore(processes)
        self._idle_seconds = idle_seconds
        self._idle: list[_Process] = []

    async def draw(self, media_type: str, spec: bytes) -> bytes:
        """A Vega-Lite specification, as JSON → SVG or PNG. Whoever gives up meanwhile takes the process with it.

        Raises Overloaded, InvalidInput for what cannot be drawn, and DrawingFailed.
        """
        with self._line():
            await self._turns.acquire()
        try:
            return await self._drawn(media_type, spec)
        finally:
            self._turns.release()

    async def close(self) -> None:
        """End the processes that wait for work; one that draws ends with its request."""
        while self._idle:
            await self._idle.pop().end()

    @contextlib.contextmanager
    def _line(self) -> Iterator[None]:
        if self._turns.locked() and self.waiting >= self._most_waiting:
            detail = f"{self.waiting} pictures wait to be drawn already, at most {self._most_waiting} do"
            raise Overloaded(detail, {"Retry-After": "1"})
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def _drawn(self, media_type: str, spec: bytes) -> bytes:
        process = self._found() or await _Process.started()
        try:
            drawing = await process.draw(KINDS[media_type], spec)
        except InvalidInput:
            self._keep(process)
            raise
        except BaseException:
            await process.end()
            raise
        self._keep(process)
        return drawing

    def _found(self) -> "_Process | None":
        while self._idle:
            process = self._idle.pop()
            process.forget_end()
            if process.is_alive:
                return process
        return None

    def _keep(self, process: "_Process") -> None:
        if process.pictures >= MOST_PICTURES:
            process.finish()
            return
        self._idle.append(process)
        process.end_later(self._idle_seconds, self._finish)

    def _finish(self, process: "_Process") -> None:
        self._idle.remove(process)
        process.finish()


class _Process:
    """One process that draws, for one caller at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None, "it was asked for"
        assert process.stdout is not None, "it was asked for"
        self.pictures = 0
        self._process = process
        self._specs, self._drawings = process.stdin, process.stdout
        self._end: asyncio.TimerHandle | None = None

    @classmethod
    async def started(cls) -> "_Process":
        """A new one. It takes in what it is asked before it is ready."""
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "service.drawing",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )
        )  # fmt: skip

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.returncode is None

    async def draw(self, kind: int, spec: bytes) -> bytes:
        """Raises InvalidInput and DrawingFailed."""
        self.pictures += 1
        try:
            # Where it has ended the answer that does not come says so.
            await hand_over(self._specs, HEAD.pack(kind, len(spec)), spec)
            outcome, length = HEAD.unpack(await self._drawings.readexactly(HEAD.size))
            answer = await self._drawings.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            cause = named(await self._process.wait())
            detail = f"the process that draws ended with {cause}; as JSON and as Vega-Lite the answer can be had"
            raise DrawingFailed(detail, {"Retry-After": "1"}) from None
        if outcome == REFUSED:
            raise InvalidInput(f"this answer cannot be drawn: {answer.decode()}")
        return answer

    def end_later(self, seconds: float, finish: "Callable[[_Process], None]") -> None:
        """Unless it is asked again before."""
        self._end = asyncio.get_running_loop().call_later(seconds, finish, self)

    def forget_end(self) -> None:
        """It is needed again."""
        if self._end is not None:
            self._end.cancel()

    def finish(self) -> None:
        """Nothing more is asked of it: it ends by itself."""
        self._specs.close()

    async def end(self) -> None:
        """At once, whatever it does."""
        self.forget_end()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def main() -> None:
    """Draw what comes until nothing comes any more."""
    end_with_parent()
    # Ctrl-C in a terminal reaches it too; it ends when its parent has drawn what was asked for.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    specs, drawings = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no drawing
    while head := specs.read(HEAD.size):
        kind, length = HEAD.unpack(head)
        outcome, answer = _answer(kind, specs.read(length))
        drawings.write(HEAD.pack(outcome, len(answer)) + answer)
        drawings.flush()


def _answer(kind: int, spec: bytes) -> tuple[int, bytes]:
    try:
        return DRAWN, png(orjson.loads(spec)) if kind == KINDS[PNG] else svg(orjson.loads(spec)).encode()
    except ValueError as error:
        return REFUSED, str(error).partition("\n")[0][:200].encode()


if __name__ == "__main__":
    main()
