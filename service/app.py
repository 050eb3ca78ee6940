"""The only place that constructs and connects: settings → the ASGI application."""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Callable
from functools import partial

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from service.api_keys import ApiKeys, taken_keys
from service.catalogue import Catalogue, catalogue_routes
from service.cores import usable_cores
from service.deadline import Deadlines
from service.decode import Decoder, Limits
from service.health import Health, health_routes
from service.logs import configure_logging
from service.memory import return_freed_memory
from service.predict import Predictions
from service.prediction_routes import prediction_routes
from service.problems import ServingError, answer_http_exception, answer_internal_error, answer_serving_error
from service.readiness import Readiness
from service.repository import Repository
from service.request_body import BodyReader
from service.request_log import RequestLog
from service.routing import NO_KEYS, Document, Doors, LeanRoute
from service.session import Session
from service.settings import Settings, names_of_later, unknown_names
from service.threads import Threads

VERSION = "0.1.0"
CORS_METHODS = ("GET", "HEAD", "POST")
CORS_TAKEN = ("Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "X-Request-Timeout-Ms")
CORS_SHOWN = ("Retry-After", "Server-Timing", "WWW-Authenticate", "X-Request-ID")


def create_app(
    settings: Settings, load_graph: Callable[[bytes], Session] = Session, readiness: Readiness | None = None
) -> ASGIApp:
    """The service. Its lifespan lists the models and begins to load them; nothing is answered from them before."""
    readiness = readiness or Readiness()
    repository = Repository(settings.model_repository, load_graph)
    threads = Threads(usable_cores())
    limits = Limits(settings.max_image_pixels, settings.max_batch_inputs, settings.max_time_steps)
    predictions = Predictions(repository, Decoder(threads, limits), threads)
    keys = ApiKeys(taken_keys(settings.api_keys, settings.api_keys_file))
    reader = BodyReader(settings.max_body_bytes, settings.body_timeout_seconds)
    doors = Doors(Deadlines(settings.request_timeout_ms), reader)
    app = _application(partial(_lifespan, repository, readiness), settings.root_path)
    keys_of_docs = NO_KEYS if "docs" in settings.open_paths else keys
    describe = partial(_describe, app)
    app.router.routes += [
        *prediction_routes(predictions, keys, doors, settings.max_batch_inputs),
        *catalogue_routes(Catalogue(repository), keys),
        *health_routes(Health(repository, readiness)),
        LeanRoute("/openapi.json", describe, keys=keys_of_docs, methods=["GET"], include_in_schema=False),
    ]
    return RequestLog(_with_origins(app, settings.cors_origins))


def _with_origins(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """The application, its answers readable by pages of these origins; a preflight needs no key."""
    if not origins:
        return app
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=CORS_METHODS, allow_headers=CORS_TAKEN, expose_headers=CORS_SHOWN
    )


def create_app_from_environment(readiness: Readiness) -> ASGIApp:
    """What each worker process runs: its own logging, settings and application."""
    settings = Settings()
    configure_logging(settings.log_level)
    return_freed_memory()
    logger = structlog.get_logger("service")
    for name, meant in unknown_names(os.environ):
        logger.warning("unknown setting", name=name, meant=meant)
    for name in names_of_later(os.environ):
        logger.warning("setting not in this version", name=name)
    return create_app(settings, readiness=readiness)


def _application(
    lifespan: Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]], root_path: str
) -> FastAPI:
    """FastAPI with our problems for its own, without its own routes: their pages load scripts from another host, and
    its document does not look at Accept.
    """
    return FastAPI(
        title="Heed",
        version=VERSION,
        description="Predictions, and the attention weights that they were made with.",
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
    return app.openapi()


@contextlib.asynccontextmanager
async def _lifespan(repository: Repository, readiness: Readiness, _: FastAPI) -> AsyncIterator[None]:
    repository.discover()
    loading = asyncio.create_task(_load(repository, readiness))
    if readiness.is_complete:
        # The others answer already: a worker that comes in another's place listens once it can answer too.
        await loading
    yield
    loading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loading


async def _load(repository: Repository, readiness: Readiness) -> None:
    await repository.load()
    readiness.count_worker()
    # What is there now stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
