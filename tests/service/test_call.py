"""A coroutine that is driven without a task does as in one, and goes on in the moment that an outcome is known."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import structlog
from anyio import to_thread

from service.call import Call, Outcome, in_a_task
from service.deadline import Deadlines, passed
from service.exchange import CURRENT, NOW, Exchange, with_request
from service.problems import DeadlinePassed
from tests.service.batching import turns

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
LOGGER = structlog.get_logger()
Begun = Coroutine[Any, Any, Any]


def said(result: Any, error: BaseException | None) -> Any:
    """The result, or what the error is and says."""
    return result if error is None else (type(error), *error.args)


class Told(Call):
    """A call that is begun at once, and keeps what it was told at its end; an error is no answer that it can give."""

    def __init__(self, begun: Begun, request_id: bytes = b"one") -> None:
        self.ends: list[Any] = []
        self.among: set[Any] = set()
        super().__init__(Exchange(), begun, self.among)
        self.exchange.request_id = request_id
        self.go_on()

    def ended(self, result: Any, error: BaseException | None) -> None:
        self.ends.append(said(result, error))
        LOGGER.info("ended")
        if isinstance(result, Exception):
            raise result


class AsTask:
    """The same in a task: what a call is compared with."""

    def __init__(self, begun: Begun) -> None:
        self.ends: list[Any] = []
        task = asyncio.create_task(self._run(begun))
        self.cancel, self.uncancel = task.cancel, task.uncancel

    async def _run(self, begun: Begun) -> None:
        try:
            self.ends.append(await begun)
        except asyncio.CancelledError as error:
            self.ends.append(said(None, error))


async def waits_for(known: Awaitable[Any], needs_task: bool = False) -> Any:
    """What is known, whatever it is."""
    if needs_task:
        await asyncio.sleep(0)
    return await known


async def test_goes_on_in_the_moment_that_an_outcome_is_known() -> None:
    """One after another, a result or an error; held until its end. Where all is known, that is at once."""
    first, second, third = Outcome[int](), Outcome[int](), Outcome[int]()
    seen: list[Any] = []

    async def begun() -> None:
        seen.append(await first)
        with pytest.raises(KeyError):
            await second
        seen.append("failed")
        await third

    tasks, call = asyncio.all_tasks(), Told(begun())
    first.set_result(1)
    assert (seen, first.done()) == ([1], True)
    second.set_exception(KeyError())
    assert (seen, call.among, call.ends) == ([1, "failed"], {call}, [])
    third.set_exception(ValueError("third"))
    assert (call.ends, call.among, asyncio.all_tasks()) == ([(ValueError, "third")], set(), tasks)
    assert (Told(begun()).ends, seen, asyncio.all_tasks(), NOW.call) == (call.ends, [1, "failed"] * 2, tasks, None)


@pytest.mark.parametrize("other", [in_a_task, lambda: asyncio.sleep(0), lambda: to_thread.run_sync(int)])
async def test_a_task_carries_on_what_waits_for_something_else(other: Callable[[], Any]) -> None:
    """From there on all that needs a task has one, and its end is the call's."""

    async def begun() -> None:
        await other()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(3600)
        raise KeyError(*await asyncio.gather(asyncio.sleep(0, "gathered"), to_thread.run_sync(str, "from a thread")))

    before = asyncio.all_tasks()
    call = Told(begun())
    (task,) = asyncio.all_tasks() - before
    assert (call.among, call.ends) == ({call}, [])
    await asyncio.wait([task])
    assert (call.ends, call.among) == ([(KeyError, "gathered", "from a thread")], set())


async def test_is_cancelled_in_the_next_turn() -> None:
    """Where it waits, once, with the message, also if that is known by then; after its end there is nothing to end."""
    known = [Outcome[int]() for _ in range(3)]
    calls = [Told(waits_for(one)) for one in known]
    known[0].set_result(1)
    for call in calls:
        call.cancel("gone")
    assert [len(one.ends) for one in calls] == [1, 0, 0]
    known[1].set_result(1)
    for _ in range(2):
        await turns(1)
        assert [one.ends for one in calls] == [[1], *[[(asyncio.CancelledError, "gone")]] * 2]
        for call in calls:
            call.cancel()


async def story(steps: tuple[str, ...], kind: type[Told | AsTask], pause: int | None) -> list[Any]:
    """What one sees that waits three times, for that of that number with a task; and its end."""
    seen, known = list[Any](), list[Any]()

    async def begun() -> str:
        for number in range(3):
            known.append(Outcome() if kind is Told else asyncio.get_running_loop().create_future())
            try:
                seen.append(await waits_for(known[-1], number == pause))
            except asyncio.CancelledError as error:
                if number == 2:
                    raise
                seen.append(error.args)
        return "answer"

    one, asked = kind(begun()), 0
    await turns()
    for step in (*steps, "tell", "tell", "tell"):
        if step == "cancel" and not one.ends:
            one.cancel("why")
            asked += 1
        elif step == "uncancel" and asked and not one.ends:
            seen.append(one.uncancel())
            asked -= 1
        elif step in ("tell", "turn"):
            if step == "tell" and not known[-1].done():
                known[-1].set_result(len(known))
            await turns()
    return [*seen, *one.ends]


@pytest.mark.parametrize("pause", [None, 0, 1])
async def test_is_cancelled_as_a_task_is(pause: int | None) -> None:
    """In every order of what can happen: asked to end, heard, what it waits for is known, a turn of the loop."""
    for steps in itertools.product(["cancel", "uncancel", "tell", "turn"], repeat=4):
        called, ran = [await story(steps, kind, pause) for kind in (Told, AsTask)]
        assert called == ran, steps


@pytest.mark.parametrize("while_it_runs", [False, True])
async def test_is_cancelled_in_the_turn_in_which_a_task_takes_over(while_it_runs: bool) -> None:
    """It ends, as any other."""

    async def begun() -> None:
        if while_it_runs and NOW.call:
            NOW.call.cancel("gone")
        await asyncio.sleep(0)

    call = Told(begun())
    if not while_it_runs:
        call.cancel("gone")
    await turns()
    assert (call.ends, call.among) == ([(asyncio.CancelledError, "gone")], set())


async def test_log_lines_are_marked_with_their_request() -> None:
    """Those of a call, of one that goes on within it, of the task that carries it on, of its end; none around them."""
    known = Outcome[None]()

    async def first() -> None:
        LOGGER.info("begun")
        await known
        LOGGER.info("gone on")
        await asyncio.sleep(0)
        LOGGER.info("carried on")

    async def second() -> None:
        known.set_result(None)
        LOGGER.info("told the other")

    with structlog.testing.capture_logs([with_request]) as lines:
        Told(first())
        LOGGER.info("around")
        CURRENT.set(Told(waits_for(Outcome()), b"three").exchange)
        Told(second(), b"two")
        LOGGER.info("in a task")
        await turns()
        LOGGER.info("in a task")
    assert [(line["event"], line.get("request_id")) for line in lines] == [
        ("begun", "one"), ("around", None),
        ("gone on", "one"), ("told the other", "two"), ("ended", "two"), ("in a task", "three"),
        ("carried on", "one"), ("ended", "one"), ("in a task", "three"),
    ]  # fmt: skip


@pytest.mark.parametrize("needs_task", [False, True])
async def test_an_answer_that_is_not_given_costs_nobody_else_one(needs_task: bool) -> None:
    """The log is told, as the request's; whoever told the outcome does not hear of it."""
    call = Told(waits_for(known := Outcome[Exception](), needs_task))
    await turns()
    with structlog.testing.capture_logs([with_request]) as lines:
        known.set_result(ValueError())
        await turns()
    assert lines[1].items() >= {"event": "an answer was not given", "log_level": "error", "request_id": "one"}.items()
    assert (call.among, NOW.call) == (set(), None)


async def test_a_task_awaits_an_outcome_as_a_future() -> None:
    """A result, an error, a task or itself cancelled, several gathered, one of which fails; and all late."""
    ends: list[list[Any]] = []
    for make in (Outcome[int], asyncio.get_running_loop().create_future):
        made: list[Any] = [make() for _ in range(8)]
        tasks = [asyncio.create_task(waits_for(one)) for one in made[:4]]
        waits = [*tasks, asyncio.gather(*made[4:6]), asyncio.gather(*made[6:])]
        await turns()
        tasks[2].cancel("why")
        made[3].cancel()
        await turns()
        for number in (0, 1, 4, 5, 6, 7):
            made[number].set_exception(KeyError(number)) if number in (1, 7) else made[number].set_result(number)
        seen = await asyncio.gather(*waits, *map(waits_for, made), return_exceptions=True)
        ends.append([(made[2].done(), made[3].done()), *[(type(one), str(one)) for one in seen]])
    assert ends[0] == ends[1]


async def test_what_a_call_left_is_cancelled() -> None:
    """As a future that a cancelled task awaited is."""
    Told(waits_for(known := Outcome[int]())).cancel()
    await turns()
    with pytest.raises(asyncio.CancelledError):
        await known


@pytest.mark.parametrize("by_another", [False, True])
@pytest.mark.parametrize(("inner", "outer", "told"), [(-1, 3600, "inner"), (3600, -1, "outer"), (-1, -1, "outer")])
async def test_ends_at_its_deadline(inner: float, outer: float, told: str, by_another: bool) -> None:
    """A time within another is told inside of it only; where another ends it in the same turn, that is no deadline."""
    deadlines, loop = Deadlines(1000), asyncio.get_running_loop()
    late: list[str] = []

    async def until(seconds: float, begun: Begun, name: str) -> None:
        try:
            await deadlines.in_time(begun, loop.time() + seconds, loop)
        except DeadlinePassed:
            late.append(name)

    call = Told(until(outer, until(inner, waits_for(Outcome()), "inner"), "outer"))
    if by_another:
        loop.call_at(0, call.cancel)
    await turns()
    assert (late, call.ends) == ([told][by_another:], [said(None, asyncio.CancelledError() if by_another else None)])


async def test_has_a_deadline_itself() -> None:
    """It is cancelled then, unless it ended before."""
    deadlines, loop = Deadlines(1000), asyncio.get_running_loop()
    late, early = Told(waits_for(Outcome())), Told(waits_for(Outcome()))
    deadlines.begin(late, loop.time() - 1, loop)
    deadlines.end(early, deadlines.begin(early, loop.time() - 1, loop))
    await turns()
    assert (late.ends, type(passed(late)), early.ends) == ([(asyncio.CancelledError,)], DeadlinePassed, [])
