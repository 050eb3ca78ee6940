"""Compressed bodies take their turns on the event loop, and none takes it for long."""

import asyncio
import zlib
from typing import Any

import pytest

from service.problems import MalformedBody
from service.request_body import INFLATED_PIECE_BYTES, MOST_MEMBERS, BodyReader
from tests.service.test_request_body import gzipped, raw_deflate, read, scope

LIMIT = 16 * 2**20


def test_members_are_bounded() -> None:
    """As many as block gzip needs are read, and no more."""
    member = gzipped(b"")
    whole = member * (MOST_MEMBERS - 1) + gzipped(b"end")

    assert read([whole], {"content-encoding": "gzip"}, LIMIT) == b"end"
    with pytest.raises(MalformedBody, match=f"more than {MOST_MEMBERS} members"):
        read([member * MOST_MEMBERS + member], {"content-encoding": "gzip"}, LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw"])
@pytest.mark.parametrize("excess", [0, 1, 2, 100, 257, 258, 259])
def test_pieces_are_put_together(encoding: str, excess: int) -> None:
    """Nothing is lost where a piece ends, though the decompressor has had all its input by then."""
    content = bytes(2 * INFLATED_PIECE_BYTES + excess)
    encode: Any = {"gzip": gzipped, "deflate": zlib.compress, "raw": raw_deflate}[encoding]
    headers = {"content-encoding": "gzip" if encoding == "gzip" else "deflate"}

    assert read([encode(content)], headers, len(content)) == content
    assert read([bytes([byte]) for byte in encode(content)], headers, len(content)) == content


@pytest.mark.parametrize("body", [gzipped(bytes(LIMIT)), gzipped(b"") * (MOST_MEMBERS - 1) + gzipped(bytes(LIMIT))])
def test_others_have_their_turns_while_a_body_is_inflated(body: bytes) -> None:
    """Between two pieces at the latest."""

    async def turns() -> int:
        count = 0

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def take_turns() -> None:
            nonlocal count
            while True:
                count += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(take_turns())
        await BodyReader(LIMIT).read(scope({"content-encoding": "gzip"}), receive)
        other.cancel()
        return count

    assert asyncio.run(turns()) >= LIMIT // INFLATED_PIECE_BYTES
