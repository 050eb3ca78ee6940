"""Requests that wait for nothing but a run go their way together: what those of one turn of the event loop have in
common is done once, and the rest in a row. A way of its own for each would cost as much as its answer.
"""

import time
from collections.abc import Sized
from contextlib import suppress
from typing import Any, Protocol

import structlog

from service.batch_queue import Rows, Waiting
from service.call import cancelled
from service.deadline import passed, tick_of
from service.direct_call import Way, Whole
from service.exchange import NOW
from service.known_heads import Known
from service.problems import ServingError
from service.routing import Prompt
from service.session import Tensor
from service.timing import Timing
from service.versions import ServedModel


class KnownRequest(Whole, Protocol):
    """A request that came whole, behind a head that came before."""

    known: Known

    def give_document(self, document: bytes) -> None:
        """The answer, where it is as usual: this JSON."""


class PromptCall:
    """One of them. It is cancelled as a task is."""

    is_ended = False
    # In which it waits for a run.
    group: "PromptGroup | None" = None

    def __init__(self, calls: "PromptCalls", request: KnownRequest, prompt: Prompt, among: set[Any]) -> None:
        """`among`: as a Call's."""
        self.exchange = request.exchange
        self.request = request
        self.prompt = prompt
        self._calls = calls
        self._among = among
        among.add(self)

    def go_on(self) -> None:
        """Begin."""
        try:
            self._calls.line_up(self)
        except Exception as error:  # noqa: BLE001  # told to whoever is answered
            self.fail(error)

    def begin(self) -> None:
        """It begins to be answered."""
        known = self.request.known
        known.begin(self.exchange)
        self.exchange.route = known.found.route.path

    def answer(self, model: ServedModel, row: Rows) -> None:
        """Give the answer: of this row."""
        started = time.perf_counter()
        try:
            document = self.prompt.written(model, row)
        except Exception as error:  # noqa: BLE001  # as above
            self.fail(error)
            return
        self._end()
        exchange, metrics = self.exchange, model.batcher.metrics
        exchange.status = 200
        metrics.decoded(exchange.decode)
        metrics.encoded(time.perf_counter() - started)
        self._calls.way.note(self.request.known.scope, exchange)
        try:
            self.request.give_document(document)
        except Exception:  # noqa: BLE001  # the edge: who is answered together with this one must be answered too
            self._log_lost()

    def fail(self, error: BaseException) -> None:
        """Give the answer: why there is no better one."""
        if not self.exchange.request_id:
            self.begin()
        self._end()
        before, NOW.call = NOW.call, self
        try:
            self._calls.way.end(self.request, None, error)
        except Exception:  # noqa: BLE001  # as above
            self._log_lost()
        finally:
            NOW.call = before

    def cancel(self, msg: Any = None) -> bool:
        """Nobody waits for it any more. It ends in the next turn of the loop: until then it is among those that run."""
        if self.is_ended:
            return False
        self.is_ended = True
        if self.group is not None:
            self.group.drop(self)
        elif not self.exchange.request_id:
            # It has not begun. What it is counted for is known all the same.
            with suppress(ServingError):
                self.prompt.model(self.exchange)
        self.exchange.loop.call_soon(self.fail, cancelled(msg))
        return True

    def uncancel(self) -> int:
        """It has ended."""
        return 0

    def _end(self) -> None:
        self.is_ended = True
        self._among.discard(self)

    def _log_lost(self) -> None:
        logger, request_id = structlog.get_logger("service.prompt_calls"), self.exchange.request_id.decode()
        logger.exception("an answer was not given", request_id=request_id)


class PromptGroup(Waiting):
    """Those that ask the same, as rows of one tensor: they wait for a run as one, until one deadline."""

    # Whether its time is: deadline.py.
    is_over = False

    def __init__(self, way: Way, model: ServedModel, deadline: float, calls: list[PromptCall], rows: Tensor) -> None:
        """`rows`: one for each of the calls, in their order."""
        super().__init__(rows, calls[0].prompt.outputs(model), Timing())
        self._way = way
        self._model = model
        self._deadline = deadline
        self._calls = calls
        self._left = len(calls)
        for call in calls:
            call.group = self
        self._tick = way.admission.deadlines.begin(self, deadline, calls[0].exchange.loop)

    @property
    def requests(self) -> int:
        """Each has one row."""
        return self.size

    def done(self) -> bool:
        """Whether nobody waits for it any more."""
        return not self._left

    def set_result(self, value: Rows) -> None:
        """Answer each."""
        timing = self.timing
        began = self.since + timing.queue
        for call, row in zip(self._ended(), value.each(), strict=True):
            if not call.is_ended:
                exchange = call.exchange
                exchange.queue = began - exchange.started - exchange.decode
                exchange.inference = timing.inference
                call.answer(self._model, row)

    def set_exception(self, error: BaseException) -> None:
        """Answer each: it failed."""
        for call in self._ended():
            if not call.is_ended:
                call.fail(error)

    def cancel(self, msg: Any = None) -> bool:
        """Nobody waits for it any more: the time of all is over, or the service ends."""
        if not self._left:
            return False
        self._model.batcher.withdraw(self)
        self.set_exception(passed(self) or cancelled(msg))
        return True

    def uncancel(self) -> int:
        """It has ended."""
        return 0

    def drop(self, call: PromptCall) -> None:
        """It waits no longer. Its row is not run, unless it runs already."""
        place, call.group = self._calls.index(call), None
        if self._model.batcher.withdraw_row(self, place):
            del self._calls[place]
        self._left -= 1
        if not self._left:
            self._ended()

    def parted(self, rows: int) -> list[Waiting]:
        """So many of them, and the rest; all, where there are no more, or none are wanted."""
        if not 0 < rows < self.size:
            return [self]
        first = PromptGroup(self._way, self._model, self._deadline, self._calls[:rows], self.rows[:rows])
        first.since = self.since
        self._calls, self.rows = self._calls[rows:], self.rows[rows:]
        self.size -= rows
        self._left -= rows
        return [first, self]

    def one_by_one(self) -> list[Waiting]:
        """Each that still waits, in a group of its own."""
        if len(self._calls) == 1:
            return [self]
        calls = enumerate(self._ended())
        rows = [(call, self.rows[place : place + 1]) for place, call in calls if not call.is_ended]
        return [PromptGroup(self._way, self._model, self._deadline, [call], row) for call, row in rows]

    def _ended(self) -> list[PromptCall]:
        """Its calls. They and it know each other no longer: else only the garbage collection would find them."""
        self._way.admission.deadlines.end(self, self._tick)
        calls, self._calls, self._left = self._calls, [], 0
        for call in calls:
            call.group = None
        return calls


class _Alike:
    """Those that can become a group, and what was read of each."""

    def __init__(self, model: ServedModel, deadline: float) -> None:
        self.model = model
        self.deadline = deadline
        self.calls: list[PromptCall] = []
        self.values: list[Sized] = []


class PromptCalls:
    """Those that begin. What began in one turn of the event loop is read in a row before the first goes on; until then
    each takes one of the places.
    """

    def __init__(self, way: Way) -> None:
        self.way = way
        self._admission = way.admission
        self._in_line: list[PromptCall] = []

    def line_up(self, call: PromptCall) -> None:
        """It begins, now or with others. Raises Overloaded where no place is left."""
        admission = self._admission
        admission.check(call.exchange.is_refused)
        if admission.together <= 1:
            # Who began alone, the last time, has had nobody to wait for: likely it is so again.
            self._begin([call])
            return
        admission.enter(1)
        if not self._in_line:
            call.exchange.loop.call_soon(self._begin_all)
        self._in_line.append(call)

    def _begin_all(self) -> None:
        calls, self._in_line = self._in_line, []
        # The places are free for what they do next.
        self._admission.leave(len(calls))
        self._begin([call for call in calls if not call.is_ended])

    def _begin(self, calls: list[PromptCall]) -> None:
        groups: dict[tuple[Prompt, int, int], _Alike] = {}
        models: dict[Prompt, ServedModel] = {}
        for call in calls:
            call.begin()
            exchange, prompt = call.exchange, call.prompt
            try:
                model = models.get(prompt)
                if model is None:
                    model = models[prompt] = prompt.model(exchange)
                exchange.model = model.batcher.metrics
                started = time.perf_counter()
                values = prompt.values(model, call.request.content)
                exchange.decode = time.perf_counter() - started
            except Exception as error:  # noqa: BLE001  # as above
                call.fail(error)
                continue
            deadline = exchange.until(call.request.known.head.seconds)
            alike = groups.get(kind := (prompt, tick_of(deadline), len(values)))
            if alike is None:
                alike = groups[kind] = _Alike(model, deadline)
            alike.calls.append(call)
            alike.values.append(values)
        for alike in groups.values():
            self._queue(alike.model, alike.deadline, alike.calls, alike.values)

    def _queue(self, model: ServedModel, deadline: float, calls: list[PromptCall], values: list[Sized]) -> None:
        """They wait for a run, in one group."""
        started = time.perf_counter()
        try:
            rows = calls[0].prompt.rows(model, values)
        except Exception as error:  # noqa: BLE001  # as above
            if len(calls) == 1:
                calls[0].fail(error)
                return
            for call, own in zip(calls, values, strict=True):
                self._queue(model, deadline, [call], [own])
            return
        each = (time.perf_counter() - started) / len(calls)
        for call in calls:
            call.exchange.decode += each
        group = PromptGroup(self.way, model, deadline, calls, rows)
        try:
            model.batcher.put(group)
        except Exception as error:  # noqa: BLE001  # as above
            group.set_exception(error)
