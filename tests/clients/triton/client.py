"""Both of tritonclient's HTTP clients, asked in the same way."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tritonclient.http import InferenceServerClient
from tritonclient.http.aio import InferenceServerClient as AsyncioClient

from tests.clients.asked import LONGEST_ANSWER_SECONDS


class Awaited:
    """The asyncio client, each of its calls awaited at once: whoever looks at the blocking one can look at it too."""

    def __init__(self, client: AsyncioClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._runner.run(method(*arguments, **options))


def blocking(address: str) -> AbstractContextManager[Any]:
    """The client that most people use."""
    client: AbstractContextManager[Any] = InferenceServerClient(address, network_timeout=LONGEST_ANSWER_SECONDS)
    return client


@contextmanager
def awaited(address: str) -> Iterator[Any]:
    """The asyncio client, with an event loop of its own."""
    with asyncio.Runner() as runner:
        client = runner.run(_made(address))
        try:
            yield Awaited(client, runner)
        finally:
            runner.run(client.close())


async def _made(address: str) -> AsyncioClient:
    # It wants to be made where a loop runs.
    return AsyncioClient(address, conn_timeout=LONGEST_ANSWER_SECONDS)


Open = Callable[[str], AbstractContextManager[Any]]
CLIENTS: dict[str, Open] = {
    "tritonclient.http.InferenceServerClient": blocking,
    "tritonclient.http.aio.InferenceServerClient": awaited,
}
