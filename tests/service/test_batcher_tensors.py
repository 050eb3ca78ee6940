"""One tensor of many rows → runs of the size that runs have, and its own rows back, whole and in their order."""

import asyncio

import numpy as np
import pytest

from service.admission import Admission
from service.pace import Pace
from service.session import Tensor, Tensors
from service.timing import Timing
from tests.service.batching import IN_THREADS, ITSELF, MIXED, ON_LOOP, EchoSession, HeldSession, batcher_of, call, turns

BOTH = ("itself", "doubled")


def numbered(count: int, length: int = 1) -> Tensor:
    """Rows that are told apart by their number."""
    return np.repeat(np.arange(count, dtype=np.float32)[:, None], length, axis=1)


def run(session: EchoSession, rows: Tensor, outputs: tuple[str, ...] = BOTH, most: int = 4) -> Tensors:
    """The outputs of a batcher of its own."""
    batcher = batcher_of("echo", "1", session, max_batch_size=most)
    return asyncio.run(batcher.run_tensor(rows, outputs, Timing()))


@pytest.mark.parametrize("pace", [ON_LOOP, IN_THREADS, MIXED])
@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_rows_come_back_whole(pace: Pace, count: int) -> None:
    """However many runs they take."""
    rows = numbered(count, 7)

    tensors = run(EchoSession(pace), rows)

    assert list(tensors) == list(BOTH)
    np.testing.assert_array_equal(tensors["itself"], rows)
    np.testing.assert_array_equal(tensors["doubled"], 2 * rows)


def test_slices_are_as_large_as_a_run_may_be() -> None:
    """The rest of them in a smaller run."""
    session = EchoSession(ON_LOOP)

    run(session, numbered(9))

    assert session.batches == [(0, 1, 2, 3), (4, 5, 6, 7), (8,)]


def test_one_run_is_not_copied() -> None:
    """Neither on the way in nor on the way out."""
    rows = numbered(4)

    tensors = run(EchoSession(ON_LOOP), rows, ITSELF)

    assert np.shares_memory(tensors["itself"], rows)


def test_tensors_and_single_inputs_meet() -> None:
    """Who waits for the same outputs of the same shape is in one run, whichever way they asked."""
    session = HeldSession(IN_THREADS)

    async def act() -> Tensors:
        batcher = batcher_of("echo", "1", session, max_batch_size=8)
        first = call(batcher, 50)
        await session.begun()
        others = call(batcher, 60)
        tensor = asyncio.get_running_loop().create_task(batcher.run_tensor(numbered(3), ITSELF, Timing()))
        await turns()
        session.let_go()
        await asyncio.gather(first, others)
        return await tensor

    tensors = asyncio.run(act())

    assert session.batches == [(50,), (60, 0, 1, 2)]
    np.testing.assert_array_equal(tensors["itself"], numbered(3))


def test_one_failed_slice_fails_the_tensor() -> None:
    """Its other slices are waited for no more, and no place stays taken."""
    session, admission = EchoSession(ON_LOOP), Admission(1000)
    rows = numbered(9)
    rows[5] = -1

    async def act() -> None:
        batcher = batcher_of("echo", "1", session, admission=admission, max_batch_size=4)
        with pytest.raises(ArithmeticError, match="poison -1"):
            await batcher.run_tensor(rows, ITSELF, Timing())
        await turns()

    asyncio.run(act())

    assert admission.waiting == 0
