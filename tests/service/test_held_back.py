"""Who was refused and asks again at once, in a crowd, is held back; nobody is once the crowd is gone."""

import json
from collections.abc import Callable

import pytest

from service import admission
from service.admission import Admission
from service.direct import Direct
from tests.service.client import Client
from tests.service.connection import Connection
from tests.service.test_direct import body_of, on_connection, request

# Of a connection that has asked already, and of one that parses each head anew.
LINES: list[Callable[[int], list[str]]] = [lambda _: [], lambda number: [f"X-Other: {number}"]]


@pytest.fixture(autouse=True)
def endless_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than any test."""
    monkeypatch.setattr(admission, "PAUSE_SECONDS", 3600.0)
    monkeypatch.setattr(admission, "PAUSE_OF_ITS_TIME", 3600.0)


def asked_again(keyed: Client, direct: Direct, lines: Callable[[int], list[str]], waiting: int) -> list[bytes]:
    """What is told to who was refused and asks again, while so many wait; and to another one who asks after that."""

    async def talk(connection: Connection) -> list[bytes]:
        await connection.ask(request(body_of(1.5), *lines(1)))
        others, direct.admission.waiting = direct.admission.waiting, direct.admission.capacity
        refused = await connection.ask(request(body_of(1.5), *lines(2)))
        assert refused[9:12] == b"503"
        direct.admission.waiting = waiting
        connection.send(request(body_of(2.5), *lines(3)))
        direct.admission.waiting = others
        last = await Connection(keyed.app, keyed.state).ask(request(body_of(3.5), *lines(4)))
        return [b"".join(connection.transport.pieces), last]

    return on_connection(keyed, talk)


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("share", [0.51, 0.9, 1.0])
def test_held_back_in_a_crowd(keyed: Client, direct: Direct, lines: Callable[[int], list[str]], share: float) -> None:
    """It is not answered, nor refused again, though whoever comes after it is answered."""
    held, last = asked_again(keyed, direct, lines, int(share * direct.admission.capacity + 1))

    assert held == b""
    assert last[9:12] == b"200"


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_answered_once_the_crowd_is_gone(
    keyed: Client, direct: Direct, lines: Callable[[int], list[str]], share: float
) -> None:
    """A connection that is shared, as a proxy's are, owes nothing for a moment that is over."""
    answers = asked_again(keyed, direct, lines, int(share * direct.admission.capacity))

    assert [json.loads(it.partition(b"\r\n\r\n")[2])["model"]["name"] for it in answers] == ["timeseries"] * 2


@pytest.mark.parametrize("lines", LINES)
def test_who_came_when_told_to_is_not_held_back(
    keyed: Client, direct: Direct, lines: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is let in, where there is a place; in a crowd too."""
    monkeypatch.setattr(admission, "RETRY_SECONDS", 0)

    answers = asked_again(keyed, direct, lines, direct.admission.capacity - 1)

    assert [it[9:12] for it in answers] == [b"200"] * 2


@pytest.mark.parametrize(("since", "pauses"), [(0.0, True), (0.99, True), (1.0, False), (60.0, False)])
def test_a_refusal_is_remembered_as_long_as_it_says(since: float, pauses: bool) -> None:
    """Its Retry-After."""
    crowded = Admission(2)
    crowded.enter(2)

    assert crowded.overloaded().headers["Retry-After"] == "1"
    assert (crowded.pause_seconds(3600.0, since) > 0) == pauses
