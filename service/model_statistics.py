"""What was counted of each version of a model, as Triton's statistics extension tells it."""

from collections import defaultdict
from collections.abc import Iterable

from service.routing import Document
from service.series import BATCH, DECODE, ENCODE, LAST_RUN, QUEUE, REQUEST_SECONDS, REQUESTS, SESSION, Series, Version

NANOSECONDS = 1e9
NEVER: Document = {"count": 0, "ns": 0}

Samples = Iterable[tuple[str, dict[str, str], float]]
# By the name of a series, and the request's outcome where it has one.
Totals = dict[str, float]


def totals_of(samples: Samples) -> dict[Version, Totals]:
    """The samples of each version, those of all routes together; requests are "ok" or not."""
    totals: dict[Version, Totals] = defaultdict(lambda: defaultdict(float))
    for name, labels, value in samples:
        version = labels.get("model", ""), labels.get("version", "")
        # Of histograms the sum and the count alone.
        if all(version) and not name.endswith("_bucket"):
            outcome = labels.get("outcome")
            kind = "" if outcome is None else ":ok" if outcome == "ok" else ":failed"
            totals[version][name + kind] += value
    return totals


def statistics(version: Version, totals: Totals) -> Document:
    """Triton's document of a version. Each stage is counted once for each request that was answered, as Triton does and
    its load tool insists; a run's time is told once, however many requests were in it. There is no cache, and times are
    not kept by batch size.
    """
    return {
        "name": version[0],
        "version": version[1],
        "last_inference": round(totals.get(LAST_RUN.name, 0) * 1000),
        "inference_count": round(totals.get(f"{BATCH.name}_sum", 0)),
        "execution_count": round(totals.get(f"{BATCH.name}_count", 0)),
        "inference_stats": {
            "success": _requests(totals, ":ok"),
            "fail": _requests(totals, ":failed"),
            "queue": _stage(totals, QUEUE),
            "compute_input": _stage(totals, DECODE),
            "compute_infer": _stage(totals, SESSION),
            "compute_output": _stage(totals, ENCODE),
            "cache_hit": NEVER,
            "cache_miss": NEVER,
        },
        "batch_stats": [],
    }


def _requests(totals: Totals, kind: str) -> Document:
    return _duration(totals, REQUESTS.name + kind, REQUEST_SECONDS.name + kind)


def _stage(totals: Totals, stage: Series) -> Document:
    return _duration(totals, REQUESTS.name + ":ok", f"{stage.name}_sum")


def _duration(totals: Totals, count: str, seconds: str) -> Document:
    return {"count": round(totals.get(count, 0)), "ns": round(totals.get(seconds, 0) * NANOSECONDS)}
