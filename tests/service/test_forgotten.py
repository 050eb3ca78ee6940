"""A connection that has ended is gone at once: where many clients come and go, what only the garbage collection finds
would stop all answers again and again.
"""

import gc
import weakref
from pathlib import Path

import pytest

from tests.service.held import held, inference, prediction
from tests.service.patience import wait_until
from tests.service.wire import answer_on, asked

ANSWERED = {
    "probe": asked("/v2/health/live"),
    "application": asked("/models"),
    "protocol": inference(1),
    "prediction": prediction(1),
    "with an id": prediction(1, "X-Request-ID: mine"),
    "in time": prediction(1, "X-Request-Timeout-Ms: 5000"),
    "not found": asked("/nope"),
    "refused for its body": prediction(1)[:-2] + b"  ",
}
UNANSWERED = {
    "nothing": b"",
    "half a head": b"GET /mod",
    "half a body": prediction(1)[:-2],
    "in a run": prediction(1),
    "more behind it": prediction(1) * 3,
    "in a run of the protocol": inference(1),
}
CASES = [*((sent, True) for sent in ANSWERED.values()), *((sent, False) for sent in UNANSWERED.values())]


@pytest.mark.parametrize(("sent", "is_answered"), CASES, ids=[*ANSWERED, *UNANSWERED])
def test_nothing_of_it_is_left_for_the_garbage_collection(one_model: Path, sent: bytes, is_answered: bool) -> None:
    """Whatever it asked, for the first time and once its head is known, and whether or not it was answered."""
    with held(one_model) as service:
        wait_until(lambda: not service.listening.server.server_state.connections)
        if is_answered:
            service.runs.let_go()
        gc.disable()
        try:
            clients = [service.connected() for _ in range(3)]
            for client in clients:
                client.sendall(sent)
                if is_answered:
                    answer_on(client)
            wait_until(lambda: len(service.listening.server.server_state.connections) == len(clients))
            left = [weakref.ref(one) for one in service.listening.server.server_state.connections]
            for client in clients:
                client.close()
            wait_until(lambda: not service.listening.server.server_state.connections)
            service.runs.let_go()
            wait_until(lambda: not any(one() for one in left))
        finally:
            gc.enable()
