"""The only place that constructs and connects: settings → the ASGI application."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from models.rendering import is_installed
from service.access_log import AccessLog
from service.admission import ADMISSION, Admission
from service.answer_pictures import AnswerPictures
from service.api_keys import ApiKeys, taken_keys
from service.batcher import Batcher, Batching
from service.catalogue import Catalogue, catalogue_routes
from service.control import Control
from service.cores import usable_cores
from service.deadline import Deadlines
from service.decode import Decoder, Limits
from service.description import TAGS, describe
from service.direct import Direct
from service.drawing import Drawings
from service.exposition import Exposition, exposition_route
from service.front import Front
from service.health import Health, health_routes
from service.http_protocol import DIRECT
from service.inference_decode import InferenceDecoder
from service.inference_protocol import InferenceProtocol, Server
from service.load_tools import LoadTools
from service.logs import configure_logging
from service.memory import quieten_collector, return_freed_memory
from service.metrics import Metrics, Unmetered
from service.metrics_directory import named_directory
from service.origins import with_origins
from service.page import page_routes
from service.predict import Predictions
from service.prediction_routes import prediction_routes
from service.problems import ServingError, answer_http_exception, answer_internal_error, answer_serving_error
from service.protocol_routes import protocol_routes
from service.readiness import Readiness
from service.repository import Policy, Repository
from service.repository_routes import ModelControl, repository_routes
from service.request_body import BodyReader
from service.request_log import RequestLog
from service.routing import NO_KEYS, Document, Doors, LeanRoute
from service.server import CONTROL
from service.session import Session
from service.settings import Settings, unknown_names
from service.static_files import static_files, static_route
from service.threads import Threads
from service.together import Together
from service.trial import Limits as TrialLimits
from service.trial import Trials

VERSION = "0.1.0"
# Of the Open Inference Protocol, by Triton's names; the last one where something is counted.
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "parameters")
STATISTICS = "statistics"

EXIT_NOT_LOADED = 1
# What one worker counted, a scrape that another answers sees so much later.
COUNTING_SECONDS = 0.2
# What connections know of the application, by name.
State = dict[str, Any]


def create_app(
    settings: Settings,
    load_graph: Callable[..., Session] = Session,
    readiness: Readiness | None = None,
    runtime: Path | None = None,
    trials: Trials | None = None,
) -> ASGIApp:
    """The service. Its lifespan lists the models and begins to load them; nothing is answered from them before.
    `runtime`: the folder that it shares with other workers, if there are any; `trials`: where models are tried out
    before they are loaded, if they are.
    """
    readiness = readiness or Readiness()
    metrics = Metrics(named_directory() if settings.workers > 1 else None) if settings.metrics else Unmetered()
    admission = Admission(settings.max_queue_size, metrics.queue_length, Deadlines(settings.request_timeout_ms))
    threads, together = Threads(usable_cores()), Together(admission)
    batching = Batching(
        admission,
        threads.inference,
        max(1, usable_cores() // settings.workers),
        settings.max_batch_size,
        settings.max_queue_delay_ms / 1000,
    )

    def batcher_of(name: str, version: str, session: Session) -> Batcher:
        return Batcher(session, batching, metrics.of_model(name, version))

    policy = Policy(settings.served_versions, settings.default_versions)
    repository = Repository(settings.model_repository, batcher_of, load_graph, policy, trials)
    control = Control(repository)
    limits = Limits(settings.max_image_pixels, settings.max_batch_inputs, settings.max_time_steps)
    drawings = Drawings(settings.max_drawings)
    pictures = AnswerPictures(threads, drawings, is_installed())
    predictions = Predictions(repository, Decoder(threads, together, limits), pictures)
    server = Server("heed", VERSION, EXTENSIONS + (STATISTICS,) * settings.metrics)
    protocol = InferenceProtocol(server, repository, InferenceDecoder(threads, together, limits), admission.deadlines)
    tools = LoadTools(repository, metrics, settings.max_batch_inputs, 1.5 * COUNTING_SECONDS)
    keys = ApiKeys(taken_keys(settings.api_keys, settings.api_keys_file))
    reader = BodyReader(settings.max_body_bytes, settings.body_timeout_seconds)
    doors = Doors(admission, reader)
    state: State = {ADMISSION: admission, CONTROL: control}
    app = _application(
        partial(_lifespan, repository, control, runtime, readiness, state, threads, drawings, metrics),
        settings.root_path,
    )
    open_to = {one: NO_KEYS if one in settings.open_paths else keys for one in ("docs", "metrics", "page")}
    app.router.routes += [
        *prediction_routes(predictions, keys, doors, settings.max_batch_inputs),
        *protocol_routes(protocol, tools, keys, doors),
        *catalogue_routes(Catalogue(repository), keys),
        *repository_routes(ModelControl(repository, control, settings.model_control == "explicit"), keys, reader),
        *health_routes(Health(repository, readiness, admission)),
        LeanRoute("/openapi.json", partial(_describe, app), keys=open_to["docs"], methods=["GET"],
                  include_in_schema=False),
        exposition_route(Exposition(metrics), open_to["metrics"]),
        *page_routes(open_to["page"], open_to["docs"]),
        static_route(static_files(open_to["page"], open_to["docs"])),
    ]  # fmt: skip
    front, access_log = Front(app, app.router.routes), AccessLog(metrics)
    state[DIRECT] = Direct(front, admission, access_log, bool(settings.cors_origins))
    return RequestLog(with_origins(front, settings.cors_origins), access_log)


def create_app_from_environment(readiness: Readiness, runtime: Path) -> ASGIApp:
    """What each worker process runs: its own logging, settings and application."""
    settings = Settings()
    configure_logging(settings.log_level)
    return_freed_memory()
    logger = structlog.get_logger("service")
    for name, meant in unknown_names(os.environ):
        logger.warning("unknown setting", name=name, meant=meant)
    limits = TrialLimits(settings.model_trial_seconds, settings.model_trial_memory_mb)
    trials = Trials(limits) if settings.model_trial_seconds else None
    return create_app(settings, readiness=readiness, runtime=runtime, trials=trials)


def _application(
    lifespan: Callable[[FastAPI], contextlib.AbstractAsyncContextManager[State]], root_path: str
) -> FastAPI:
    """FastAPI with our problems for its own, without its own routes: their pages load scripts from another host, and
    its document does not look at Accept.
    """
    return FastAPI(
        title="Heed",
        version=VERSION,
        description="Predictions, and the attention weights that they were made with.",
        openapi_tags=TAGS,
        servers=[{"url": root_path}] if root_path else None,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers={
            ServingError: answer_serving_error,
            HTTPException: answer_http_exception,
            Exception: answer_internal_error,
        },
    )


async def _describe(app: FastAPI) -> Document:
    """The interface, as an OpenAPI document."""
    return describe(app)


@contextlib.asynccontextmanager
async def _lifespan(
    repository: Repository,
    control: Control,
    runtime: Path | None,
    readiness: Readiness,
    state: State,
    threads: Threads,
    drawings: Drawings,
    metrics: Metrics,
    _: FastAPI,
) -> AsyncIterator[State]:
    with contextlib.ExitStack() as stack:
        alone = runtime or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heed-")))
        repository.discover()
        loading = asyncio.create_task(_load(control, alone, readiness, runtime is not None))
        if readiness.is_complete:
            # The others answer already: a worker that comes in another's place listens once it can answer too.
            await loading
        counting = asyncio.create_task(_count(metrics))
        yield state
        for task in (loading, counting):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await control.leave()
        metrics.count()
        threads.close()
        await drawings.close()


async def _count(metrics: Metrics) -> None:
    while True:
        metrics.count()
        await asyncio.sleep(COUNTING_SECONDS)


async def _load(control: Control, runtime: Path, readiness: Readiness, is_process: bool) -> None:
    try:
        await control.join(runtime)
    except Exception:
        structlog.get_logger("service").exception("models could not be loaded")
        # A process of its own is replaced, or ends, and does not wait for ever; the application of a test is neither.
        if is_process:
            os._exit(EXIT_NOT_LOADED)
        raise
    readiness.count_worker()
    quieten_collector()
