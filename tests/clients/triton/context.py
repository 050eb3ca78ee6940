"""What every look at tritonclient needs, and the way all of them are taken."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tritonclient.utils import InferenceServerException

from tests.clients.asked import Asked, asked_from_arguments
from tests.clients.oracle import Oracle, Tensor, oracles
from tests.clients.seen import Seen, described
from tests.clients.triton.client import CLIENTS, Open

INPUTS = 24


@dataclass(frozen=True)
class Context:
    """The service, a client that is open, the way to open another, and onnxruntime."""

    asked: Asked
    client: Any
    open: Open
    oracles: Sequence[Oracle]

    def drawn(self) -> Iterator[tuple[Oracle, Tensor]]:
        """One input after the other, (1, …), both models."""
        for oracle in self.oracles:
            for seed in range(INPUTS):
                yield oracle, oracle.draw(seed)


Look = Callable[[Context], str]


def look_at_both_clients(description: str | None, looks: Sequence[Look]) -> None:
    """Every look at the blocking client, then at the other; ends with 1 where something was wrong."""
    asked, wrong = asked_from_arguments(description), 0
    known = oracles(asked.repository)
    for name, open_one in CLIENTS.items():
        seen = Seen(name)
        with open_one(asked.address) as client:
            context = Context(asked, client, open_one, known)
            for look in looks:
                with seen.row(described(look)) as told:
                    told.append(look(context))
        wrong += seen.wrong
    sys.exit(wrong > 0)


def refusal(call: Callable[[], object], *statuses: str) -> str:
    """The message of the exception that is raised, its status one of these. Raises AssertionError where none is."""
    raised = None
    try:
        told = call()
    except InferenceServerException as exception:
        raised = exception
    assert raised is not None, f"no exception, but {told}"
    assert raised.status() in statuses, raised
    return str(raised.message())
