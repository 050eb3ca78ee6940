"""python -m tests.clients.triton.in_flight: many requests at once, and every answer its own request's."""

import asyncio
import contextlib
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from subprocess import Popen
from typing import Any

import gevent.pool
from tritonclient.http import InferenceServerClient, InferResult
from tritonclient.http.aio import InferenceServerClient as AsyncioClient

from tests.clients.asked import Asked, asked_from_arguments
from tests.clients.neighbours import neighbours
from tests.clients.oracle import MODELS, Question, oracles, questions
from tests.clients.seen import Seen, described
from tests.clients.triton.client import CLIENTS
from tests.clients.triton.neighbour import CONNECTIONS as CONNECTIONS_OF_NEIGHBOUR
from tests.clients.triton.tensors import inputs_of, tensors_of
from tests.service.processes import halted

# async_infer() lets 10 ms pass after each request: 200 take 2 s, and a worker that stands still for 5 s is replaced.
AT_ONCE = 200
BURSTS = 5
CONNECTIONS = 64
QUESTIONS = 512
REQUESTS = 4096
NEIGHBOURS = 4


@dataclass
class Answers:
    """What came back: how many, how many were on their way at once, how far from onnxruntime's own at most."""

    answered: int = 0
    most_in_flight: int = 0
    largest: float = 0.0
    kills: list[int] = field(default_factory=list)
    _in_flight: int = 0

    @contextlib.contextmanager
    def in_flight(self) -> Iterator[None]:
        """A request on its way."""
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1

    def take(self, question: Question, result: InferResult) -> None:
        """Hold an answer against its question. Raises AssertionError."""
        self.largest = max(self.largest, question.check(result.get_response().get("id"), tensors_of(result)))
        self.answered += 1

    def __str__(self) -> str:
        told = (
            f"{self.answered:,} requests, up to {self.most_in_flight} in flight; all answered, each with its own id "
            f"and its own payload's outputs, within {self.largest:.1g} of onnxruntime's"
        )
        if self.kills:
            after = ", ".join(f"{kill:,}" for kill in self.kills)
            told += (
                f"; {len(self.kills)} others killed, after {after} answers, {CONNECTIONS_OF_NEIGHBOUR} in flight each"
            )
        return told


AfterEach = Callable[[Answers], None]


@dataclass(frozen=True)
class Context:
    """What every look needs."""

    asked: Asked
    deck: list[Question]

    def turns(self, count: int) -> Iterator[Question]:
        """So many questions; after the last comes the first again."""
        return (self.deck[place % len(self.deck)] for place in range(count))


def bursts(context: Context) -> str:
    """async_infer() of many while the workers stand still; then they go on, and get_result() of each"""
    answers = Answers()
    left = context.turns(BURSTS * AT_ONCE)
    with InferenceServerClient(context.asked.address, concurrency=AT_ONCE) as client:
        for _ in range(BURSTS):
            asked = list(islice(left, AT_ONCE))
            with contextlib.ExitStack() as stack:
                for worker in context.asked.workers:
                    stack.enter_context(halted(worker))
                requests = [client.async_infer(**_arguments(question)) for question in asked]
            answers.most_in_flight = len(requests)
            for question, request in zip(asked, requests, strict=True):
                answers.take(question, request.get_result())
    return str(answers)


def in_greenlets(context: Context) -> str:
    """async_infer() and get_result() in many greenlets"""
    return _ask_in_greenlets(context, lambda answers: None)


def in_greenlets_beside_killed(context: Context) -> str:
    """async_infer() and get_result() in many greenlets, while other clients are killed with SIGKILL"""
    with neighbours(context.asked, NEIGHBOURS) as others:
        return _ask_in_greenlets(context, _killer(others))


def in_tasks(context: Context) -> str:
    """infer() in many tasks"""
    return asyncio.run(_ask_in_tasks(context, lambda answers: None))


def in_tasks_beside_killed(context: Context) -> str:
    """infer() in many tasks, while other clients are killed with SIGKILL"""
    with neighbours(context.asked, NEIGHBOURS) as others:
        return asyncio.run(_ask_in_tasks(context, _killer(others)))


def in_tasks_beside_loading(context: Context) -> str:
    """infer() in many tasks, while another client loads: versions of both models come and go"""
    with _loading(context.asked) as loads:
        told = asyncio.run(_ask_in_tasks(context, lambda answers: None))
    assert len(loads) >= 2 * len(MODELS), f"only {len(loads)} loads"
    return f"{told}; {len(loads)} loads meanwhile"


def _ask_in_greenlets(context: Context, after_each: AfterEach) -> str:
    answers = Answers()
    with InferenceServerClient(context.asked.address, concurrency=CONNECTIONS) as client:

        def ask(question: Question) -> None:
            with answers.in_flight():
                result = client.async_infer(**_arguments(question)).get_result()
            answers.take(question, result)
            after_each(answers)

        for _ in gevent.pool.Pool(CONNECTIONS).imap_unordered(ask, context.turns(REQUESTS)):
            pass
    return str(answers)


async def _ask_in_tasks(context: Context, after_each: AfterEach) -> str:
    answers, left = Answers(), context.turns(REQUESTS)

    async def ask_on(client: AsyncioClient) -> None:
        for question in left:
            with answers.in_flight():
                result = await client.infer(**_arguments(question))
            answers.take(question, result)
            after_each(answers)

    async with AsyncioClient(context.asked.address, conn_limit=CONNECTIONS) as client:
        await asyncio.gather(*(ask_on(client) for _ in range(CONNECTIONS)))
    return str(answers)


def _arguments(question: Question) -> dict[str, Any]:
    oracle = question.oracle
    return {"model_name": oracle.model, "inputs": inputs_of(oracle, question.rows), "request_id": question.id}


def _killer(others: list[Popen[str]]) -> AfterEach:
    """Kills one after the other, spread over the answers."""
    left = list(others)

    def kill(answers: Answers) -> None:
        if left and answers.answered >= REQUESTS * (len(answers.kills) + 1) // (NEIGHBOURS + 1):
            other = left.pop()
            assert other.poll() is None, "another client ended by itself"
            other.kill()
            answers.kills.append(answers.answered)

    return kill


@contextlib.contextmanager
def _loading(asked: Asked) -> Iterator[list[str]]:
    """The models that another client, in a thread of its own, has loaded so far, until the block ends. A version that
    comes is the same file.
    """
    loads: list[str] = []
    stop = threading.Event()

    async def load() -> None:
        async with AsyncioClient(asked.address) as client:
            for model in cycle(MODELS):
                version = asked.repository / model / "2"
                shutil.copytree(asked.repository / model / "1", version)
                await client.load_model(model)
                shutil.rmtree(version)
                await client.load_model(model)
                loads.extend((model, model))
                if stop.is_set():
                    break

    beside = threading.Thread(target=asyncio.run, args=(load(),))
    beside.start()
    try:
        yield loads
    finally:
        stop.set()
        beside.join()


BLOCKING, ASYNCIO = CLIENTS
LOOKS: tuple[tuple[str, Callable[[Context], str]], ...] = (
    (BLOCKING, bursts),
    (BLOCKING, in_greenlets),
    (BLOCKING, in_greenlets_beside_killed),
    (ASYNCIO, in_tasks),
    (ASYNCIO, in_tasks_beside_killed),
    (ASYNCIO, in_tasks_beside_loading),
)


def main() -> None:
    """Ask much at once."""
    asked, wrong = asked_from_arguments(__doc__), 0
    context = Context(asked, questions(oracles(asked.repository), QUESTIONS))
    for client, look in LOOKS:
        seen = Seen(client)
        with seen.row(described(look)) as told:
            told.append(look(context))
        wrong += seen.wrong
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
