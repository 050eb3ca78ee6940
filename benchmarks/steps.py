"""The way of a request, step by step: what one process answers when it does only so much of it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.environments import python_of_heed
from benchmarks.load import Load, drive, median
from benchmarks.plan import Plan
from benchmarks.processes import free_port, running
from benchmarks.questions import series_questions

CONNECTIONS = 32


@dataclass(frozen=True)
class Step:
    """A stage of the staged server, and what it adds to the one before it."""

    stage: str
    adds: str


STEPS = (
    Step("parser", "event loop and parser: uvicorn, uvloop, httptools, a constant answer"),
    Step("connection", "Heed's connection: limits, turns, an answer in one piece"),
    Step(
        "route",
        "the connection asks the lean route: path, method, query, Accept, queue limit, deadline, request id, the "
        "answer's JSON, Server-Timing, access line (not written)",
    ),
    Step("validation", "pydantic on the body's bytes"),
    Step("tensor", "the lists as a tensor"),
    Step("unmetered", "queue, run, answer: the whole service without metrics"),
    Step("whole", "metrics: the service as it comes, access log off"),
)
OTHER_WAYS = (
    Step("parsed", "every head is parsed, also those that came before"),
    Step("asgi", "through ASGI, in a task for each request"),
    Step("fastapi-stack", "through ASGI, and FastAPI's and Starlette's stack in front of the router, not Front"),
    Step("thread", "every run in a thread"),
    Step("alone", "no batches: every input a run of its own"),
    Step("collector", "garbage collection as Python comes"),
    Step("access-log", "access log on, into a file"),
)


def measure_steps(plan: Plan) -> Mapping[str, Load]:
    """Every stage, one process, the stages in turn."""
    stages: dict[str, list[Load]] = {step.stage: [] for step in (*STEPS, *OTHER_WAYS)}
    for _ in range(plan.rounds):
        for stage, loads in stages.items():
            loads.append(_load(plan, stage))
            print(f"step {stage}: {loads[-1].per_second:,.0f}/s", file=sys.stderr, flush=True)
    return {stage: median(loads) for stage, loads in stages.items()}


def _load(plan: Plan, stage: str) -> Load:
    port = free_port()
    environment = {"HEED_PORT": str(port), "HEED_MODEL_REPOSITORY": str(plan.repository)}
    questions = series_questions(plan.repository)
    ready = questions[0].at(f"http://127.0.0.1:{port}")
    with running([str(python_of_heed()), "-m", "benchmarks.staged_server", stage], environment, port, ready) as it:
        drive(it.address, questions, CONNECTIONS, plan.warm_up_seconds)
        load = drive(it.address, questions, CONNECTIONS, max(2, plan.seconds // 2))
    if load.errors:
        raise RuntimeError(f"{load.errors} errors at the step {stage}")
    return load
