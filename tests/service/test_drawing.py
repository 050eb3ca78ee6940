"""Drawing in processes of its own: real ones, bounded, and ended with whoever needs them."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.look import document
from service.drawing import PNG, SVG, WAITING_EACH, Drawings
from service.problems import DrawingFailed, InvalidInput, Overloaded
from tests.service.patience import PATIENCE_SECONDS

POINT = orjson.dumps(document({"data": {"values": [{}]}, "mark": "point"}))


def drawing_processes() -> set[int]:
    """The children of this process that draw."""
    found = set()
    for children in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for child in children.read_text().split():
            with suppress(OSError):
                if b"service.drawing" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.add(int(child))
    return found


async def until(is_so: Callable[[], object]) -> None:
    """Wait for what happens in another process."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110  # another process sets no event
            await asyncio.sleep(0.01)


def drawn(test: Callable[[Drawings, set[int]], Awaitable[Any]], **how: Any) -> None:
    """Run a test with Drawings of one process. Whose processes were there before is told, none of its own is left."""

    async def run() -> None:
        before = drawing_processes()
        drawings = Drawings(1, **how)
        await test(drawings, before)
        await drawings.close()
        await until(lambda: not drawing_processes() - before)

    asyncio.run(run())


def test_one_process_draws_one_after_another() -> None:
    """It is started for the first picture, and kept."""

    async def test(drawings: Drawings, before: set[int]) -> None:
        assert drawing_processes() == before
        pictures = await asyncio.gather(*(drawings.draw(kind, POINT) for kind in (SVG, PNG, SVG)))

        assert [one[:4] for one in pictures] == [b"<svg", b"\x89PNG", b"<svg"]
        assert len(drawing_processes() - before) == 1

    drawn(test)


def test_what_cannot_be_drawn_is_told_and_the_process_stays() -> None:
    """The message says why; the next picture is drawn by the same process."""
    tall = orjson.dumps(document({"width": 1000, "height": 50_000, "data": {"values": [{}]}, "mark": "point"}))

    async def test(drawings: Drawings, before: set[int]) -> None:
        with pytest.raises(InvalidInput, match=r"cannot be drawn: a picture of .* has more than"):
            await drawings.draw(PNG, tall)
        first = drawing_processes() - before
        await drawings.draw(SVG, POINT)

        assert drawing_processes() - before == first

    drawn(test)


def test_a_killed_process_fails_its_picture_alone() -> None:
    """Whoever waited for it is told, the next picture gets a new process."""

    async def test(drawings: Drawings, before: set[int]) -> None:
        drawing = asyncio.ensure_future(drawings.draw(SVG, POINT))
        await until(lambda: drawing_processes() - before)
        (process,) = drawing_processes() - before
        os.kill(process, signal.SIGKILL)
        with pytest.raises(DrawingFailed, match="the process that draws ended with SIGKILL") as raised:
            await drawing

        assert raised.value.headers == {"Retry-After": "1"}
        assert (await drawings.draw(SVG, POINT))[:4] == b"<svg"

    drawn(test)


def test_a_process_killed_between_two_pictures_is_replaced() -> None:
    """Nobody meets it."""

    async def test(drawings: Drawings, before: set[int]) -> None:
        await drawings.draw(SVG, POINT)
        (process,) = drawing_processes() - before
        os.kill(process, signal.SIGKILL)
        await until(lambda: not drawings._idle[0].is_alive)

        assert (await drawings.draw(SVG, POINT))[:4] == b"<svg"

    drawn(test)


def test_so_many_wait_and_no_more() -> None:
    """Who comes then is told to come back; those who waited get their pictures."""

    async def test(drawings: Drawings, before: set[int]) -> None:
        waiting = [asyncio.ensure_future(drawings.draw(SVG, POINT)) for _ in range(WAITING_EACH + 1)]
        await until(lambda: drawings.waiting == WAITING_EACH)
        with pytest.raises(Overloaded, match=f"{WAITING_EACH} pictures wait to be drawn already") as raised:
            await drawings.draw(SVG, POINT)

        assert raised.value.headers == {"Retry-After": "1"}
        assert {one[:4] for one in await asyncio.gather(*waiting)} == {b"<svg"}
        assert drawings.waiting == 0

    drawn(test)


def test_who_gives_up_ends_the_drawing() -> None:
    """A picture that nobody waits for any more keeps no other waiting, not even where it never ends."""

    async def test(drawings: Drawings, before: set[int]) -> None:
        drawing = asyncio.ensure_future(drawings.draw(SVG, POINT))
        await until(lambda: drawing_processes() - before)
        (process,) = drawing_processes() - before
        os.kill(process, signal.SIGSTOP)
        drawing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drawing

        assert (await drawings.draw(SVG, POINT))[:4] == b"<svg"
        assert process not in drawing_processes()

    drawn(test)


def test_a_process_that_nobody_asks_ends() -> None:
    """Its memory goes back; the next picture gets a new one."""

    async def test(drawings: Drawings, before: set[int]) -> None:
        await drawings.draw(SVG, POINT)
        await until(lambda: not drawing_processes() - before)

        assert (await drawings.draw(SVG, POINT))[:4] == b"<svg"

    drawn(test, idle_seconds=0.01)
