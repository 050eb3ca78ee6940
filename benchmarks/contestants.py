"""Who is measured: Heed and its peers, each at its best settings, and the line that says which."""

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import ENVIRONMENTS, python_of, python_of_heed
from benchmarks.processes import ROOT, Running, free_port, running
from benchmarks.questions import series_questions

HEED = "Heed"
DEFAULTS = "Heed, as it comes"
BARE = "bare ASGI"
MOSEC = "mosec"
FASTAPI_ASYNC = "FastAPI, async def"
FASTAPI_DEF = "FastAPI, def"
READY = "/v2/health/ready"


@dataclass(frozen=True)
class Start:
    """What a contestant is started with."""

    python: str
    port: int
    workers: int


@dataclass(frozen=True)
class Contestant:
    """One server. `peer` is its folder below peers/, empty for Heed; `key` is what `--only` takes."""

    key: str
    name: str
    settings: str
    command: Callable[[Start], list[str]]
    environment: Callable[[Start], dict[str, str]] = lambda start: {}
    peer: str = ""
    takes_workers: bool = True
    ready_path: str | None = None

    @property
    def python(self) -> str:
        """Its interpreter; made on the first call. Raises InstallError."""
        return str(python_of(self.peer) if self.peer else python_of_heed())


@contextmanager
def started(
    contestant: Contestant, repository: Path, workers: int, extra: dict[str, str] | None = None
) -> Iterator[Running]:
    """The contestant, once it answers. `extra`: environment variables of one measurement. Raises StartError."""
    start = Start(contestant.python, free_port(), workers)
    environment = {
        "PEER_REPOSITORY": str(repository),
        "PEER_PORT": str(start.port),
        "PEER_WORKERS": str(workers),
        **contestant.environment(start),
        **({} if contestant.peer else _heed(start, repository)),
        **(extra or {}),
    }
    address = f"http://127.0.0.1:{start.port}"
    question = series_questions(repository)[0].at(address)
    ready = urllib.request.Request(address + contestant.ready_path) if contestant.ready_path else question
    with running(contestant.command(start), environment, start.port, ready) as server:
        yield server


def _heed(start: Start, repository: Path) -> dict[str, str]:
    return {
        "HEED_PORT": str(start.port),
        "HEED_WORKERS": str(start.workers),
        "HEED_MODEL_REPOSITORY": str(repository),
    }


def _module(name: str) -> Callable[[Start], list[str]]:
    return lambda start: [start.python, "-m", name]


def _uvicorn(app: str) -> Callable[[Start], list[str]]:
    return lambda start: [
        *(start.python, "-m", "uvicorn", app, "--port", str(start.port), "--workers", str(start.workers)),
        *("--no-access-log", "--log-level", "warning"),
    ]


CONTESTANTS = (
    Contestant(
        "heed",
        HEED,
        "the packages that its image has; access log off and the highest version alone, as the peers have it",
        _module("service"),
        lambda start: {"HEED_LOG_LEVEL": "warning", "HEED_SERVED_VERSIONS": "1"},
        ready_path=READY,
    ),
    Contestant(
        "heed-defaults",
        DEFAULTS,
        "the packages that its image has; no setting but the number of workers: access log on",
        _module("service"),
        ready_path=READY,
    ),
    Contestant(
        "mosec",
        MOSEC,
        "for each model one worker process for each of Heed's; max_batch_size 32 for series, 8 for pictures; "
        "max_wait_time 1 ms, the least it takes: with fewer connections than a batch it waits in vain, at c=1 always",
        _module("benchmarks.peers.mosec.server"),
        lambda start: {"MOSEC_PORT": str(start.port), "MOSEC_ADDRESS": "127.0.0.1", "MOSEC_LOG_LEVEL": "error"},
        "mosec",
    ),
    Contestant(
        "fastapi-async",
        FASTAPI_ASYNC,
        "uvicorn workers, uvloop, httptools; typed pydantic models, no batcher",
        _uvicorn("benchmarks.peers.fastapi.with_async_def:app"),
        peer="fastapi",
    ),
    Contestant(
        "fastapi-def",
        FASTAPI_DEF,
        "the same; its endpoints run in the thread pool",
        _uvicorn("benchmarks.peers.fastapi.with_def:app"),
        peer="fastapi",
    ),
    Contestant(
        "bare",
        BARE,
        "uvicorn, uvloop, httptools; one process, no framework, no batcher, no checks",
        _module("benchmarks.peers.bare.server"),
        peer="bare",
        takes_workers=False,
    ),
    Contestant(
        "litserve",
        "LitServe",
        "one API server for each of Heed's workers, fast_queue; max_batch_size 32 for series, 8 for pictures, "
        "batch_timeout 0; workers_per_device 1: with 2 it was slower, they poll their queues",
        _module("benchmarks.peers.litserve.server"),
        peer="litserve",
    ),
    Contestant(
        "bentoml",
        "BentoML",
        "a worker for each of Heed's; without its adaptive batching, which left a third of the throughput and refused "
        "some requests: it batches only in an inner service, a hop away",
        lambda start: [
            *(start.python, "-m", "bentoml", "serve", "benchmarks.peers.bentoml.server:Heed", "--quiet"),
            *("--host", "127.0.0.1", "--port", str(start.port), "--working-dir", str(ROOT)),
        ],
        lambda start: {"BENTOML_HOME": str(ENVIRONMENTS / "bentoml" / "home"), "BENTOML_DO_NOT_TRACK": "true"},
        "bentoml",
    ),
    Contestant(
        "mlserver",
        "MLServer",
        "custom handlers, parallel_workers 0, so one process: inference in the server's own was quicker than in 1 or 2 "
        "workers; no adaptive batching, which custom handlers do not have; no gzip",
        _module("benchmarks.peers.mlserver.server"),
        lambda start: {"PEER_GRPC_PORT": str(free_port())},
        "mlserver",
        takes_workers=False,
    ),
)

BY_NAME = {contestant.name: contestant for contestant in CONTESTANTS}
