"""A server's connections, from the moment in which they are taken in."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

import uvloop
from starlette.types import Receive, Scope, Send

from service.admission import ADMISSION, Admission
from service.workers import Server, server_config
from tests.service.batching import turns


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing."""


def test_connection_that_is_taken_in_is_open_a_turn_later() -> None:
    """Each turn of a busy event loop is long: a probe on a new connection waits for as few as can be."""

    async def act() -> tuple[int, int]:
        server = _server()
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            server._take_in(ours)
            await turns(1)
            begun = len(server.server_state.connections)
        await turns(20)
        return begun, len(server.server_state.connections)

    assert _run(act()) == (1, 0)


def _server() -> Server:
    config = server_config(silent)
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    server.lifespan.state[ADMISSION] = Admission(1)
    return server


def _run(act: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(act)
