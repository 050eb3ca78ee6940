"""How many connections each worker holds, as the others see it."""

import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

from starlette.types import Receive, Scope, Send

from service.server import server_config
from service.shares import Shares
from tests.service.patience import PATIENCE_SECONDS


def test_worker_in_a_dead_ones_stead_has_its_place() -> None:
    """What the dead one told is forgotten; who lives keeps its own."""
    shares = Shares(2)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    shares._places.owners[0], shares._held[0] = dead.pid, 77
    shares._places.owners[1], shares._held[1] = os.getppid(), 5

    shares.claim()

    assert shares.of_others() == [5]
    shares.tell(3)
    assert list(shares._held) == [3, 5]
    shares.release()
    assert list(shares._places.owners) == [0, os.getppid()]


def test_worker_that_is_renewed_has_a_place_beside_the_old_one() -> None:
    """Both live for a moment; the next one takes the place that is free then, or a dead one's before that."""
    shares = server_config(bare, workers=2).shares
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    shares._places.owners[0:2] = [os.getppid(), dead.pid]

    shares.claim()
    beside = list(shares._places.owners)
    dead.communicate()
    shares.claim()

    assert beside == [os.getppid(), dead.pid, os.getpid(), 0]
    assert list(shares._places.owners)[1] == os.getpid()


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing."""


def test_workers_see_each_other(tmp_path: Path) -> None:
    """Real processes: each sees what the other told."""
    context = get_context("spawn")
    shares, told = Shares(2, tmp_path), context.Queue()
    shares.claim()
    shares.tell(11)
    other = context.Process(target=_tell, args=(shares, told))
    other.start()
    seen = told.get(timeout=PATIENCE_SECONDS)
    before = shares.of_others()
    other.join()

    assert seen == [11]
    assert before == [22]


def _tell(shares: Shares, told: "object") -> None:
    shares.claim()
    shares.tell(22)
    told.put(shares.of_others())  # type: ignore[attr-defined]  # a queue
