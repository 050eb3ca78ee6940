"""Bodies of requests that began together are read in a row, each for its own request."""

import asyncio
from collections.abc import Awaitable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.admission import Admission
from service.exchange import Exchange
from service.problems import InvalidInput, Overloaded
from service.together import Together
from tests.service.batching import turns

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the service has."""
    return "asyncio"


class Readers:
    """Requests whose bodies are read, and what happened in which order."""

    def __init__(self, together: int, capacity: int = 100) -> None:
        self.admission = Admission(capacity)
        self.admission.together = together
        self.together = Together(self.admission)
        self.happened: list[str] = []

    def read(self, name: str, is_bad: bool = False) -> str:
        """Read the body of that name."""
        self.happened.append(f"read {name}")
        if is_bad:
            raise InvalidInput(f"{name} is bad")
        return name.upper()

    async def ask(self, name: str, is_bad: bool = False) -> str:
        """A request that goes on with what was read."""
        result = await self.together.decode(Exchange(), partial(self.read, name, is_bad))
        self.happened.append(f"went on with {result}")
        return result

    def begin(self, *names: str) -> "list[asyncio.Task[str]]":
        """Requests of these names, at once."""
        return [asyncio.get_running_loop().create_task(self.ask(name)) for name in names]


async def outcomes(asked: list[Awaitable[str]]) -> list[str]:
    """What each was given, or what its error says."""
    return [str(one) for one in await asyncio.gather(*asked, return_exceptions=True)]


async def test_who_comes_alone_waits_for_nobody() -> None:
    """The body is read in the moment that it is asked for."""
    readers = Readers(together=1)

    with pytest.raises(StopIteration) as ended:
        readers.ask("a").send(None)

    assert ended.value.value == "A"


async def test_all_are_read_before_the_first_goes_on() -> None:
    """And go on in the order in which they came."""
    readers = Readers(together=3)

    told = await asyncio.gather(*readers.begin("a", "b", "c"))

    assert told == ["A", "B", "C"]
    read = [f"read {name}" for name in "abc"]
    assert readers.happened == [*read, *[f"went on with {name}" for name in "ABC"]]


@settings(max_examples=50, deadline=None)
@given(bad=st.lists(st.booleans(), min_size=1, max_size=40))
def test_each_has_its_own(bad: list[bool]) -> None:
    """A bad body is told to its own request, and changes nothing for the others."""

    async def told() -> list[str]:
        readers = Readers(together=len(bad))
        return await outcomes([readers.ask(f"r{place}", is_bad) for place, is_bad in enumerate(bad)])

    assert asyncio.run(told()) == [f"r{place} is bad" if is_bad else f"R{place}" for place, is_bad in enumerate(bad)]


async def test_who_left_is_not_read() -> None:
    """Neither its body, nor is its place kept."""
    readers = Readers(together=3)
    first, leaving, last = readers.begin("a", "b", "c")
    await turns(1)

    leaving.cancel()
    told = await outcomes([first, last])

    assert told == ["A", "C"]
    assert leaving.cancelled()
    assert "read b" not in readers.happened
    assert readers.admission.waiting == 0


async def test_who_waits_takes_a_place() -> None:
    """So that nobody is let in, and its body read, for whom there is none: that is told before."""
    readers = Readers(together=3, capacity=2)
    asked = readers.begin("a", "b", "c")
    await turns(1)
    waiting = readers.admission.waiting

    told = await asyncio.gather(*asked, return_exceptions=True)

    assert waiting == 2
    assert told[:2] == ["A", "B"]
    assert isinstance(told[2], Overloaded)
    assert "read c" not in readers.happened
    assert readers.admission.waiting == 0


async def test_time_in_the_line_is_queueing() -> None:
    """Of one whose body is read after another's that takes its time; reading its own is decoding."""
    readers, exchange = Readers(together=2), Exchange()

    def slowly() -> None:
        end = exchange.loop.time() + 0.02
        while exchange.loop.time() < end:
            pass

    await asyncio.gather(readers.together.decode(Exchange(), slowly), readers.together.decode(exchange, lambda: None))

    assert exchange.queue >= 0.02
    assert exchange.decode < 0.02
