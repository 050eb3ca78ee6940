"""Bodies: limits, encodings, and clients that leave."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from anyio import wait_all_tasks_blocked
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect

from service.problems import MalformedBody, TooLarge
from service.request_body import LONG_BODIES_AT_ONCE, LONG_BODY_BYTES, BodyReader
from tests.service.client import Client

LIMIT = 10_000
NUMBERS = b'{"sequence": [' + b", ".join(b"[%d, 1.5]" % step for step in range(10)) + b"]}"


def read(chunks: list[bytes], headers: dict[str, str] | None = None, limit: int = LIMIT) -> bytes:
    """What the reader makes of the chunks."""

    async def collect() -> bytes:
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
        ]
        messages[-1]["more_body"] = False
        remaining = iter(messages)

        async def receive() -> Any:
            return next(remaining)

        body = await BodyReader(limit).read(scope(headers), receive)
        body.release()
        return body.content

    return asyncio.run(collect())


def scope(headers: dict[str, str] | None = None) -> dict[str, Any]:
    """A scope with these headers."""
    return {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()]}


def raw_deflate(content: bytes) -> bytes:
    """Deflate without zlib's header."""
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(content) + stream.flush()


def gzipped(content: bytes) -> bytes:
    """As gzip does it; without the time in it, which would be in the names of tests."""
    return gzip.compress(content, mtime=0)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzipped,
    "x-gzip": gzipped,
    "deflate": zlib.compress,
    "identity": bytes,
    "GZIP": gzipped,
}


@given(content=st.binary(max_size=300), size=st.integers(1, 50), encoding=st.sampled_from([*ENCODERS, "raw"]))
def test_inflated_in_any_chunks(content: bytes, size: int, encoding: str) -> None:
    """However a body is cut into chunks, what was compressed comes out."""
    encoded = raw_deflate(content) if encoding == "raw" else ENCODERS[encoding](content)
    chunks = [encoded[start : start + size] for start in range(0, len(encoded), size)] or [b""]

    assert read(chunks, {"content-encoding": "deflate" if encoding == "raw" else encoding}) == content


def test_second_gzip_member_is_read() -> None:
    """gzip files may be several, one after the other."""
    assert read([gzipped(b"one ") + gzipped(b"two")], {"content-encoding": "gzip"}) == b"one two"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (gzipped(NUMBERS)[:-1], "gzip"),
        (gzipped(NUMBERS)[:40], "gzip"),
        (gzipped(NUMBERS) + b"x", "gzip"),
        (gzipped(NUMBERS) + b"more", "gzip"),
        (b"", "gzip"),
        (b"\x1f", "gzip"),
        (NUMBERS, "gzip"),
        (NUMBERS, "deflate"),
        (zlib.compress(NUMBERS)[:-2], "deflate"),
        (zlib.compress(NUMBERS) * 2, "deflate"),
        (NUMBERS, "br"),
        (NUMBERS, "gzip, gzip"),
        (NUMBERS, "zstd"),
    ],
)
def test_bad_encoding_is_malformed(content: bytes, encoding: str) -> None:
    """Cut short, corrupt, doubled or unknown encodings are the caller's error."""
    with pytest.raises(MalformedBody):
        read([content], {"content-encoding": encoding})


def test_limit_counts_inflated_bytes() -> None:
    """A small body that inflates to more than the limit is refused, and to exactly the limit taken."""
    assert len(read([gzipped(bytes(LIMIT))], {"content-encoding": "gzip"})) == LIMIT

    with pytest.raises(TooLarge, match="inflated"):
        read([gzipped(bytes(LIMIT + 1))], {"content-encoding": "gzip"})


def test_chunks_are_counted_as_they_come() -> None:
    """Without a Content-Length the limit holds too."""
    assert read([bytes(LIMIT // 2)] * 2) == bytes(LIMIT)

    with pytest.raises(TooLarge):
        read([bytes(LIMIT // 2)] * 2 + [b"x"])


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 5000])
def test_length_is_checked_before_anything_is_read(length: str) -> None:
    """A Content-Length over the limit is refused without asking for the body."""
    with pytest.raises(TooLarge):
        asyncio.run(never_received(length))


@pytest.mark.parametrize("length", ["-1", "abc", "1.5", "", "+4", "٣"])
def test_length_that_is_no_number_is_malformed(length: str) -> None:
    """What is no whole number is the caller's error."""
    with pytest.raises(MalformedBody, match="Content-Length"):
        asyncio.run(never_received(length))


async def never_received(length: str) -> None:
    """Read with a receive that must not be called."""

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    await BodyReader(LIMIT).read(scope({"content-length": length}), receive)


@pytest.mark.parametrize(
    ("values", "is_taken"), [(["4", "4"], True), (["4", "5"], False), (["4", "x"], False), (["4, 4"], False)]
)
def test_length_may_be_repeated_but_not_differ(values: list[str], is_taken: bool) -> None:
    """Two lengths that differ are how requests are smuggled."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"1234"}

    headers = [(b"content-length", value.encode()) for value in values]
    reading = BodyReader(LIMIT).read({"type": "http", "headers": headers}, receive)
    if is_taken:
        assert asyncio.run(reading).content == b"1234"
    else:
        with pytest.raises(MalformedBody, match="Content-Length"):
            asyncio.run(reading)


def test_client_that_leaves_is_told_apart() -> None:
    """A disconnect in the middle of the body is no end of the body."""

    async def leave() -> None:
        messages = iter([{"type": "http.request", "body": b"[", "more_body": True}, {"type": "http.disconnect"}])

        async def receive() -> Any:
            return next(messages)

        await BodyReader(LIMIT).read(scope(), receive)

    with pytest.raises(ClientDisconnect):
        asyncio.run(leave())


def test_few_long_bodies_are_held_at_once() -> None:
    """Many long bodies wait for a place after their first megabyte; a short one passes them by."""

    async def crowd() -> tuple[int, bytes]:
        reader = BodyReader(2 * LONG_BODY_BYTES)
        held, leave = 0, asyncio.Event()

        async def hold() -> None:
            nonlocal held
            chunks = iter([(bytes(LONG_BODY_BYTES), True), (b"x", True), (b"y", False)])

            async def receive() -> Any:
                body, more = next(chunks)
                return {"type": "http.request", "body": body, "more_body": more}

            body = await reader.read(scope(), receive)
            held += 1
            await leave.wait()
            body.release()

        async def receive_short() -> Any:
            return {"type": "http.request", "body": b"short"}

        async with asyncio.TaskGroup() as tasks:
            for _ in range(LONG_BODIES_AT_ONCE + 3):
                tasks.create_task(hold())
            await wait_all_tasks_blocked()
            most = held
            short = await reader.read(scope(), receive_short)
            leave.set()
        assert held == LONG_BODIES_AT_ONCE + 3
        return most, short.content

    assert asyncio.run(crowd()) == (LONG_BODIES_AT_ONCE, b"short")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_service_takes_compressed_requests(client: Client, encoding: str) -> None:
    """A compressed request is answered like a plain one."""
    headers = {"Content-Type": "application/json"}
    plain = client.post("/predict/timeseries", content=NUMBERS, headers=headers)

    packed = client.post(
        "/predict/timeseries", content=ENCODERS[encoding](NUMBERS), headers=headers | {"Content-Encoding": encoding}
    )

    assert packed.status_code == 200
    assert packed.json() == plain.json()


def test_service_refuses_what_is_too_large(client: Client) -> None:
    """The limit of the settings is the limit of the route, told as a problem, with and without Content-Length."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield bytes(10_000)

    for content in (bytes(400_001), chunks()):
        response = client.post("/predict/image", content=content)
        assert response.status_code == 413
        assert response.json()["type"] == "urn:heed:problem:too-large"
