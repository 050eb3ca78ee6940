"""python -m tests.clients.triton.neighbour: a client that asks until it is killed."""

import asyncio
import sys
from itertools import cycle
from pathlib import Path

from tritonclient.http.aio import InferenceServerClient

from tests.clients.oracle import oracles, questions
from tests.clients.triton.tensors import inputs_of

CONNECTIONS = 32
QUESTIONS = 64
STEADY = 100  # answers, after which it has all its connections and is told to be asking
SEED = 1_000_000  # whose questions nobody else asks
# In one request, so that its answer takes a while. More of them, from several neighbours, would not fit into the queue.
ROWS = 4


async def ask(address: str, repository: Path) -> None:
    """So many requests at once, each connection asks again when it is answered."""
    deck = cycle(questions(oracles(repository), QUESTIONS, SEED))
    answered = 0

    async def ask_on(client: InferenceServerClient) -> None:
        nonlocal answered
        while True:
            question = next(deck)
            rows = question.rows.repeat(ROWS, axis=0)
            await client.infer(question.oracle.model, inputs_of(question.oracle, rows), request_id=question.id)
            answered += 1
            if answered == STEADY:
                print("asking", flush=True)

    async with InferenceServerClient(address, conn_limit=CONNECTIONS) as client:
        await asyncio.gather(*(ask_on(client) for _ in range(CONNECTIONS)))


if __name__ == "__main__":
    asyncio.run(ask(sys.argv[1], Path(sys.argv[2])))
