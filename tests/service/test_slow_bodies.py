"""Bodies that come too slowly: cut off in time, and no burden for anybody else."""

import asyncio
import json
import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from anyio import wait_all_tasks_blocked

from service.problems import BodyTimeout, DeadlinePassed
from service.request_body import LONG_BODIES_AT_ONCE, LONG_BODY_BYTES, Body, BodyReader
from tests.service.conftest import SERIES
from tests.service.patience import PATIENCE_SECONDS
from tests.service.processes import greeting, port_of, process
from tests.service.wire import get

SCOPE: dict[str, Any] = {"type": "http", "headers": []}
LIMIT = 2 * LONG_BODY_BYTES
# Longer than any test; where the body's time is to end within one, it is SOON.
LATE, SOON = 3600.0, 0.05
DRIBBLING = 100


class Sender:
    """A client's side of `receive`: what is put in arrives, and before that it is waited for."""

    def __init__(self, *chunks: bytes) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for chunk in chunks:
            self.send(chunk, more=True)

    @classmethod
    def of_whole(cls, body: bytes) -> "Sender":
        """One who has sent the whole body."""
        sender = cls()
        sender.send(body)
        return sender

    def send(self, chunk: bytes, *, more: bool = False) -> None:
        """Send a chunk, the last one where no more is announced."""
        self._messages.put_nowait({"type": "http.request", "body": chunk, "more_body": more})

    async def receive(self) -> Any:
        """The next message."""
        return await self._messages.get()


def deadline_in(seconds: float) -> float:
    """A deadline in the time of the running loop."""
    return asyncio.get_running_loop().time() + seconds


async def fill_places(reader: BodyReader, places: int = LONG_BODIES_AT_ONCE) -> list[Body]:
    """Bodies that hold so many of the places for long ones."""
    return [await reader.read(SCOPE, Sender.of_whole(bytes(LIMIT)).receive) for _ in range(places)]


@pytest.mark.parametrize("chunks", [(), (b"one",), (b"one", b"two")])
def test_body_that_stops_is_given_up(chunks: tuple[bytes, ...]) -> None:
    """Before its first byte or in the middle; the connection is not used for anything else."""

    async def test() -> None:
        await BodyReader(LIMIT, SOON).read(SCOPE, Sender(*chunks).receive, deadline_in(LATE))

    with pytest.raises(BodyTimeout, match=r"within 0\.05 seconds") as raised:
        asyncio.run(test())
    assert raised.value.headers == {"Connection": "close"}


def test_deadline_holds_while_the_body_comes() -> None:
    """Where it is sooner than the body's own limit, and where it passed already."""

    async def test(seconds: float) -> None:
        await BodyReader(LIMIT, LATE).read(SCOPE, Sender(b"one").receive, deadline_in(seconds))

    for seconds in (SOON, -1.0):
        with pytest.raises(DeadlinePassed, match="still on its way"):
            asyncio.run(test(seconds))


def test_body_that_comes_late_is_read() -> None:
    """What came after its head is what would have come with it."""

    async def test() -> bytes:
        sender = Sender()
        reading = asyncio.create_task(BodyReader(LIMIT, LATE).read(SCOPE, sender.receive))
        for chunk in (b"one ", b"two "):
            await wait_all_tasks_blocked()
            sender.send(chunk, more=True)
        await wait_all_tasks_blocked()
        sender.send(b"three")
        return (await reading).content

    assert asyncio.run(test()) == b"one two three"


def test_error_of_the_connection_is_not_taken_for_slowness() -> None:
    """Whatever `receive` raises goes through, TimeoutError too, at once and after a wait."""

    async def receive() -> Any:
        raise TimeoutError("the connection")

    async def receive_later() -> Any:
        await asyncio.sleep(0)
        await receive()

    async def test(failing: Callable[[], Awaitable[Any]]) -> None:
        await BodyReader(LIMIT, LATE).read(SCOPE, failing)

    for failing in (receive, receive_later):
        with pytest.raises(TimeoutError, match="the connection"):
            asyncio.run(test(failing))


def test_end_of_patience_reaches_who_waits() -> None:
    """What waits for the client is cancelled where it waits, and can tidy up there."""
    ended_by: list[BaseException] = []

    async def receive() -> Any:
        try:
            await asyncio.sleep(LATE)
        except BaseException as error:
            ended_by.append(error)
            raise

    async def test() -> None:
        with pytest.raises(BodyTimeout):
            await BodyReader(LIMIT, SOON).read(SCOPE, receive)
        assert [type(error) for error in ended_by] == [asyncio.CancelledError]

    asyncio.run(test())


def test_waiting_for_a_place_is_not_the_clients_slowness() -> None:
    """A long body that is stopped because others are read is not given up for it."""

    async def test() -> int:
        reader = BodyReader(LIMIT, 1)
        others = await fill_places(reader)
        sender = Sender(bytes(LONG_BODY_BYTES + 1))
        reading = asyncio.create_task(reader.read(SCOPE, sender.receive))
        await asyncio.sleep(1.2)
        others[0].release()
        await wait_all_tasks_blocked()
        sender.send(b"rest")
        return len((await reading).content)

    assert asyncio.run(test()) == LONG_BODY_BYTES + 5


def test_deadline_holds_while_a_place_is_waited_for() -> None:
    """Nobody waits longer than the request has; who gave up waiting leaves no place taken."""

    async def test() -> None:
        reader = BodyReader(LIMIT, LATE)
        others = await fill_places(reader)
        with pytest.raises(DeadlinePassed):
            await reader.read(SCOPE, Sender.of_whole(bytes(LIMIT)).receive, deadline_in(SOON))
        for other in others:
            other.release()
        await fill_places(reader)

    asyncio.run(test())


def test_places_are_free_after_slow_senders() -> None:
    """Those who stop with a place in hand keep it no longer than their time."""

    async def test() -> list[BaseException | Body]:
        reader = BodyReader(LIMIT, SOON)
        stalled = [
            reader.read(SCOPE, Sender(bytes(LONG_BODY_BYTES + 1)).receive) for _ in range(2 * LONG_BODIES_AT_ONCE)
        ]
        outcomes = await asyncio.gather(*stalled, return_exceptions=True)
        await fill_places(reader)
        return outcomes

    assert [type(outcome) for outcome in asyncio.run(test())] == [BodyTimeout] * 2 * LONG_BODIES_AT_ONCE


def test_places_are_free_after_clients_that_leave() -> None:
    """Cancelled before the first byte, with a place in hand, or while waiting for one."""

    async def test() -> None:
        reader = BodyReader(LIMIT, LATE)
        senders = [Sender(), *(Sender(bytes(LONG_BODY_BYTES + 1)) for _ in range(2 * LONG_BODIES_AT_ONCE))]
        tasks = [asyncio.create_task(reader.read(SCOPE, sender.receive)) for sender in senders]
        await wait_all_tasks_blocked()
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * len(tasks)
        await fill_places(reader)

    asyncio.run(test())


def test_place_is_given_back_once() -> None:
    """However often a body is released, no place is made of nothing."""

    async def test() -> None:
        reader = BodyReader(LIMIT, LATE)
        bodies = await fill_places(reader)
        for _ in range(3):
            bodies[0].release()
        await fill_places(reader, 1)
        with pytest.raises(DeadlinePassed):
            await reader.read(SCOPE, Sender.of_whole(bytes(LIMIT)).receive, deadline_in(SOON))

    asyncio.run(test())


@pytest.fixture(scope="module")
def port(repository: Path) -> Iterator[int]:
    """A real server that waits two seconds for a body."""
    with process(repository, HEED_BODY_TIMEOUT_SECONDS="2") as started:
        yield port_of(greeting(started))


def opened(port: int, length: int, begin: bytes) -> socket.socket:
    """A connection with a request whose body has only begun."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    head = f"POST /predict/timeseries HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + begin)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """What comes until the server closes; a byte that came after it had closed resets the connection."""
    answer = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def is_body_timeout(answer: bytes) -> bool:
    """Whether it is the problem, and the only answer."""
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 "), answer
    assert b"\r\nconnection: close" in head.lower()
    assert b"application/problem+json" in head
    document = json.loads(content)
    assert document["detail"] == "the body did not arrive within 2 seconds"
    return bool(document["type"] == "urn:heed:problem:body-timeout")


def dribble(connections: list[socket.socket]) -> None:
    """One byte on each at a time, until each has been answered, or was for so long not."""
    unanswered = connections
    for _ in range(10 * PATIENCE_SECONDS):
        if not unanswered:
            break
        readable, _, _ = select.select(unanswered, [], [], 0.1)
        unanswered = [connection for connection in unanswered if connection not in readable]
        for connection in unanswered:
            connection.sendall(b" ")


def test_dribbling_clients_are_cut_off_and_hold_nobody_up(port: int) -> None:
    """A hundred bodies that come byte by byte: other clients are answered all the while, then each gets its 408."""
    body = json.dumps({"sequence": SERIES}).encode()
    with ExitStack() as stack:
        slow = [stack.enter_context(opened(port, 100_000, b"{")) for _ in range(DRIBBLING)]
        for _ in range(20):
            assert get(port, "/v2/health/ready")[0] == 200
            with opened(port, len(body), body) as quick:
                assert quick.recv(65536).startswith(b"HTTP/1.1 200 ")
        dribble(slow)

        assert all(is_body_timeout(answer_of(connection)) for connection in slow)


def test_stalled_long_bodies_free_their_places(port: int) -> None:
    """A long body that waits behind as many stalled ones as there are places is answered once their time is over."""
    body = json.dumps({"sequence": SERIES}).encode().ljust(LONG_BODY_BYTES + 100_000)
    with ExitStack() as stack:
        stalled = [
            stack.enter_context(opened(port, len(body), body[: LONG_BODY_BYTES + 50_000]))
            for _ in range(LONG_BODIES_AT_ONCE)
        ]
        with opened(port, len(body), body) as honest:
            assert honest.recv(65536).startswith(b"HTTP/1.1 200 ")

        assert all(is_body_timeout(answer_of(connection)) for connection in stalled)
