"""What each feature costs: throughput with it and without it, the two in turn."""

import statistics
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from benchmarks.contestants import BY_NAME, HEED, started
from benchmarks.load import drive
from benchmarks.plan import Plan
from benchmarks.processes import Running
from benchmarks.questions import Question, series_questions
from benchmarks.service_settings import default_of
from benchmarks.targets import Claim, Figure
from service.cores import usable_cores

KEY = "a-key-of-the-benchmark"
CONNECTIONS = 32
PAIRS_IN_A_ROUND = 3


@dataclass(frozen=True)
class Way:
    """How the service is started and asked."""

    environment: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""


@dataclass(frozen=True)
class Feature:
    """The same service with something and without it."""

    name: str
    with_it: Way
    without: Way = Way()


class Pair(NamedTuple):
    """Requests a second, one soon after the other."""

    with_it: float
    without: float


@dataclass(frozen=True)
class Cost:
    """What was measured of a feature. No pairs: this version has no such setting."""

    feature: str
    pairs: Sequence[Pair] = ()

    @property
    def share(self) -> float:
        """Of the throughput, what the feature takes: the median of the pairs."""
        return statistics.median(self._shares)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between which the middle half of the pairs lies: how much of it is noise."""
        first, _, third = statistics.quantiles(self._shares, n=4, method="inclusive")
        return first, third

    @property
    def _shares(self) -> list[float]:
        return [1 - pair.with_it / pair.without for pair in self.pairs]


METRICS = Way({"HEED_METRICS": "on"}), Way({"HEED_METRICS": "off"})
ALL = "all of them that have a setting, together"
# Request ids and limits have no setting: they are in every figure.
FEATURES = (
    Feature("metrics", *METRICS),
    Feature("keys", Way({"HEED_API_KEYS": KEY}, {"Authorization": f"Bearer {KEY}"})),
    Feature("request id taken over, and not made", Way(headers={"X-Request-ID": "a-request-of-the-benchmark"})),
    Feature("traceparent", Way(headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})),
    Feature("a deadline", Way(headers={"X-Request-Timeout-Ms": "1000"})),
    Feature("access log", Way({"HEED_LOG_LEVEL": "info"})),
    Feature("attention=summary, to none", Way(), Way(query="?attention=none")),
    Feature("attention=full, to none", Way(query="?attention=full"), Way(query="?attention=none")),
    Feature(
        ALL,
        Way({"HEED_METRICS": "on", "HEED_API_KEYS": KEY}, {"Authorization": f"Bearer {KEY}"}),
        Way({"HEED_METRICS": "off"}),
    ),
)


def measure_features(plan: Plan) -> Sequence[Cost]:
    """Every feature, with all workers."""
    return [_cost(plan, feature) for feature in FEATURES]


def claims(costs: Sequence[Cost]) -> dict[Claim, Figure]:
    """What follows from them."""
    by_name = {cost.feature: cost for cost in costs}
    together = by_name[ALL]
    if not together.pairs:
        return {}
    return {Claim.FEATURES: Figure(together.share, "metrics, keys; request ids and limits are always on")}


def measure_amounts(plan: Plan) -> dict[Claim, Figure]:
    """attention=none, summary and full in turn, on one server, for a short time each."""
    series = series_questions(plan.repository)[0]
    amounts = ("none", "summary", "full")
    rates: dict[str, list[float]] = {amount: [] for amount in amounts}
    with started(BY_NAME[HEED], plan.repository, usable_cores()) as server:
        drive(server.address, [series], CONNECTIONS, plan.warm_up_seconds)
        for _ in range(plan.turns):
            for amount in amounts:
                question = replace(series, path=f"{series.path}?attention={amount}")
                rates[amount].append(_rate(server, question, plan.turn_seconds))
    return {
        Claim.NONE_TO_SUMMARY: _ratio(rates["none"], rates["summary"]),
        Claim.SUMMARY_TO_FULL: _ratio(rates["summary"], rates["full"]),
    }


def _ratio(first: list[float], second: list[float]) -> Figure:
    turns = [one / other for one, other in zip(first, second, strict=True)]
    return Figure(
        statistics.median(turns),
        f"{statistics.median(first):,.0f} and {statistics.median(second):,.0f} a second at c={CONNECTIONS}; "
        f"turns: {', '.join(f'{turn:.2f}' for turn in turns)}",
    )


def _cost(plan: Plan, feature: Feature) -> Cost:
    settings = {*feature.with_it.environment, *feature.without.environment}
    if any(default_of(name) is None for name in settings):
        return Cost(feature.name)
    with ExitStack() as servers:
        # Two servers only where they are started differently: two alike differ by some per cent too.
        first = servers.enter_context(_started(plan, feature.without))
        is_one = feature.with_it.environment == feature.without.environment
        second = first if is_one else servers.enter_context(_started(plan, feature.with_it))
        plain, asked = _question(plan, feature.without), _question(plan, feature.with_it)
        _rate(first, plain, plan.warm_up_seconds)
        _rate(second, asked, plan.warm_up_seconds)
        # Many short loads in turn: a difference of some per cent is less than what the clock drifts in a long one.
        seconds = max(1, plan.seconds // PAIRS_IN_A_ROUND)
        pairs = []
        for _ in range(plan.rounds * PAIRS_IN_A_ROUND):
            without = _rate(first, plain, seconds)
            pairs.append(Pair(_rate(second, asked, seconds), without))
    return Cost(feature.name, pairs)


def _started(plan: Plan, way: Way) -> AbstractContextManager[Running]:
    return started(BY_NAME[HEED], plan.repository, usable_cores(), way.environment)


def _question(plan: Plan, way: Way) -> Question:
    series = series_questions(plan.repository)[0]
    return replace(series, path=series.path + way.query, headers=way.headers)


def _rate(server: Running, question: Question, seconds: int) -> float:
    load = drive(server.address, [question], CONNECTIONS, seconds)
    if load.errors:
        raise RuntimeError(f"{load.errors} errors with {question.path}, {question.headers}")
    return load.per_second
