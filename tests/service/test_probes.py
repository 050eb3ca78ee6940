"""Probes are answered in the moment in which they come, whatever else a turn of the event loop has to do."""

import pytest

from service.exchange import CURRENT
from tests.service.client import Client
from tests.service.connection import Connection
from tests.service.test_direct import body_of, on_connection, request
from tests.service.wire import asked


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
@pytest.mark.parametrize(("line", "status"), [("X-Any: x", b"200"), ("Accept: text/csv", b"406")])
def test_answered_before_anything_else_goes_on(keyed: Client, path: str, line: str, status: bytes) -> None:
    """The first one of a connection and the next, before a request that came earlier; no later line has its id."""

    async def talk(connection: Connection) -> list[bytes]:
        earlier = Connection(keyed.app, keyed.state)
        earlier.send(request(body_of(1.5)))
        for _ in range(2):
            connection.send(asked(path, line))
        pieces = connection.transport.pieces.copy()
        assert earlier.transport.pieces == []
        assert CURRENT.get(None) is None
        assert connection.server_state.tasks == set()
        assert (await earlier.answers())[0][9:12] == b"200"
        return pieces

    told = on_connection(keyed, talk)

    assert [one[9:12] for one in told] == [status, status]
    assert all(b"\r\nx-request-id: " in one for one in told)
