"""What Heed is held to, and whether a figure reaches it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple


class Claim(StrEnum):
    """What is measured, each by one number."""

    TO_MOSEC_32 = "c=32, all workers each, to mosec"
    TO_FASTAPI_ASYNC_32 = "c=32, all workers each, to typed FastAPI with async def"
    TO_FASTAPI_DEF_32 = "c=32, all workers each, to typed FastAPI with def"
    TO_MOSEC_128 = "c=128, all workers each, to mosec"
    TO_BARE_1 = "c=1, one process each, p50 to bare ASGI + onnxruntime"
    TAIL_32 = "p99 / p50 at c=32, median of the rounds"
    STEADY_P99 = "open loop at 70 % of capacity: p99"
    STEADY_ERRORS = "open loop at 70 % of capacity: errors"
    CROWD_GOODPUT = "overload, closed loop with 4× max_queue_size connections: goodput of capacity"
    CROWD_PROBES = "… slowest answer of /v2/health/live and /ready meanwhile"
    FLOOD_GOODPUT = "overload, open loop at 1.3× capacity: goodput of capacity"
    FLOOD_P99 = "… p99 of the answered, of the deadline"
    PICTURE_OF_BOUND = "40×40 PNG, of the bound by decode + session on the cores used"
    LARGE_JPEG = "a 12-megapixel JPEG once a second: growth of the others' p99"
    NONE_TO_SUMMARY = "attention=none to summary, throughput"
    SUMMARY_TO_FULL = "attention=summary to full, throughput"
    MEMORY = "RSS of one worker, both models, after load"
    GROWTH = "RSS after requests of mixed kinds: growth"
    START = "ready after the process start, all workers"
    FEATURES = "cost of all switchable features together: throughput lost"


class Figure(NamedTuple):
    """A measured number, and what has to be known beside it."""

    value: float
    note: str = ""


Figures = Mapping[Claim, Figure]


@dataclass(frozen=True)
class Target:
    """A bound of a claim: what must be, what is reached for. `obstacle` is told where one of them is missed."""

    claim: Claim
    sense: Literal["at least", "at most"]
    must: float
    reach: float | None
    unit: str = "×"
    obstacle: str = ""

    def shown(self, value: float | None) -> str:
        """A number as it stands in the table."""
        if value is None:
            return ""
        if self.unit == "%":
            return f"{value:.0%}"
        return f"{value:,.0f}{self.unit}" if self.unit == " errors" else f"{value:.2f}{self.unit}"

    def verdict(self, value: float) -> str:
        """Whether it is reached, and by how much it is missed."""
        if self._holds(value, self.must) and (self.reach is None or self._holds(value, self.reach)):
            return "reached"
        reason = f": {self.obstacle}" if self.obstacle else ""
        if self._holds(value, self.must):
            return f"must, not reach for{_gap(value, self.reach)}{reason}"
        return f"**missed**{_gap(value, self.must)}{reason}"

    def _holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.sense == "at least" else value <= bound


def _gap(value: float, bound: float | None) -> str:
    return f" by {abs(value - bound) / bound:.0%}" if bound else ""


# A constant answer through uvicorn takes 25 µs of a core here; reading and checking a body 40 more.
COMPILED_FRONT = "mosec parses, queues and answers in Rust; here each step of a request is Python, see the steps below"
PYTHON_STEPS = "a constant answer and a checked body are half of it already, see the steps below"

TARGETS = (
    Target(Claim.TO_MOSEC_32, "at least", 1.5, 2, obstacle=COMPILED_FRONT),
    Target(Claim.TO_FASTAPI_ASYNC_32, "at least", 5, 8, obstacle=PYTHON_STEPS),
    Target(Claim.TO_FASTAPI_DEF_32, "at least", 5, 8, obstacle=PYTHON_STEPS),
    Target(Claim.TO_MOSEC_128, "at least", 0.7, 1, obstacle=COMPILED_FRONT),
    Target(Claim.TO_BARE_1, "at most", 1.5, 1.3, obstacle="bare ASGI checks nothing, has no limits, ids or log"),
    Target(Claim.TAIL_32, "at most", 3, 2),
    Target(Claim.STEADY_P99, "at most", 10, 5, " ms"),
    Target(Claim.STEADY_ERRORS, "at most", 0, None, " errors"),
    Target(Claim.CROWD_GOODPUT, "at least", 0.8, 0.9, "%"),
    Target(Claim.CROWD_PROBES, "at most", 100, None, " ms"),
    Target(Claim.FLOOD_GOODPUT, "at least", 0.7, 0.8, "%"),
    Target(Claim.FLOOD_P99, "at most", 1, None, "%"),
    Target(Claim.PICTURE_OF_BOUND, "at least", 0.5, 0.6, "%"),
    Target(Claim.LARGE_JPEG, "at most", 0.2, None, "%"),
    Target(Claim.NONE_TO_SUMMARY, "at least", 1, None),
    Target(Claim.SUMMARY_TO_FULL, "at least", 1, None),
    Target(Claim.MEMORY, "at most", 200, 150, " MB"),
    Target(Claim.GROWTH, "at most", 0.05, None, "%"),
    Target(Claim.START, "at most", 2, 1, " s"),
    Target(Claim.FEATURES, "at most", 0.15, 0.1, "%"),
)
