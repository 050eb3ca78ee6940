"""A request that waits for nothing but a run has no coroutine. Whoever gives up is not run, wherever it waits."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from service.direct import Direct
from service.http_protocol import DIRECT
from service.metrics import Metrics
from service.settings import Settings
from tests.service.batching import turns
from tests.service.client import Client, running
from tests.service.conftest import KEY
from tests.service.connection import Connection
from tests.service.test_direct import body_of, counted, document_of, expected, on_connection, request

# It lines up to be read, is read, waits for company, runs, is answered: each a turn of the loop or two.
TURNS = range(8)


def rows_run(keyed: Client) -> float:
    """By any run, as the metrics of this process have it."""
    metrics: Metrics = keyed.state[DIRECT].access_log._metrics
    metrics.count()
    return sum(value for name, _, value in metrics.samples() if name == "heed_batch_size_sum")


def test_promptly_answered_as_ever(keyed: Client, direct: Direct) -> None:
    """Alone, and with others."""

    async def talk(connection: Connection) -> list[bytes]:
        answers = [await connection.ask(request(body_of(number + 0.5))) for number in range(3)]
        others = [Connection(keyed.app, keyed.state) for _ in range(5)]
        for number, other in enumerate(others):
            other.send(request(body_of(number + 3.5)))
        return answers + [(await other.answers())[0] for other in others]

    answers = on_connection(keyed, talk)

    (known,) = direct.heads.known.values()
    assert known.prompt is not None
    assert [document_of(it) for it in answers] == [expected(keyed, body_of(number + 0.5)) for number in range(8)]


@pytest.mark.parametrize("lines", [["Accept: image/svg+xml"], ["Content-Type: text/plain"]])
def test_what_takes_longer_has_a_coroutine(keyed: Client, direct: Direct, lines: list[str]) -> None:
    """A picture, or what the decoder has to complain about."""

    async def talk(connection: Connection) -> list[bytes]:
        return [await connection.ask(request(body_of(1.5), *lines)) for _ in range(2)]

    first, again = on_connection(keyed, talk)

    (known,) = direct.heads.known.values()
    assert known.prompt is None
    assert first[9:12] == again[9:12]


@pytest.mark.parametrize("after", TURNS)
def test_who_left_is_not_run(keyed: Client, direct: Direct, after: int) -> None:
    """After so many turns; whoever came with it is answered, and no place stays taken."""

    async def talk(connection: Connection) -> tuple[bool, bytes, float, float]:
        await connection.ask(request(body_of(1.5)))
        await turns(5)
        rows, gone = rows_run(keyed), counted(keyed, "gone")
        direct.admission.together = 3
        staying, leaving = (Connection(keyed.app, keyed.state) for _ in range(2))
        staying.send(request(body_of(2.5)))
        leaving.send(request(body_of(3.5)))
        await turns(after)
        is_run = leaving.protocol.cycle.response_complete
        leaving.protocol.connection_lost(None)
        (answer,) = await staying.answers()
        await turns(5)
        assert direct.admission.waiting == 0
        assert leaving.protocol.tasks == set()
        return is_run, answer, rows_run(keyed) - rows, counted(keyed, "gone") - gone

    is_run, answer, rows, gone = on_connection(keyed, talk)

    assert document_of(answer) == expected(keyed, body_of(2.5))
    assert (rows, gone) == ((2, 0) if is_run else (1, 1))
    assert not (is_run and after < 2)


def test_whose_time_is_over_is_told_and_not_run(one_model: Path) -> None:
    """While it waits for company, which would come later than its time is over."""
    settings = Settings(model_repository=one_model, api_keys=SecretStr(KEY), max_queue_delay_ms=10_000)

    async def talk(connection: Connection) -> list[bytes]:
        return [await connection.ask(request(body_of(1.5), "X-Request-Timeout-Ms: 30")) for _ in range(3)]

    with running(settings, is_loaded=False) as client:
        client.wait_until_ready()
        answers = on_connection(client, talk)
        direct: Direct = client.state[DIRECT]

        (known,) = direct.heads.known.values()
        assert known.prompt is not None
        assert [it[9:12] for it in answers] == [b"504"] * 3
        assert document_of(answers[-1])["type"] == "urn:heed:problem:deadline"
        assert rows_run(client) == 0
        assert direct.admission.waiting == 0
