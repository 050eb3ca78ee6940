"""The only place that constructs and connects: settings → the ASGI application."""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from service.catalogue import Catalogue, catalogue_routes
from service.cores import usable_cores
from service.decode import Decoder
from service.health import Health, health_routes
from service.logs import configure_logging
from service.memory import return_freed_memory
from service.predict import Predictions
from service.prediction_routes import prediction_routes
from service.problems import ServingError, answer_http_exception, answer_internal_error, answer_serving_error
from service.repository import Repository
from service.request_body import BodyReader
from service.request_log import RequestLog
from service.settings import Settings, unknown_names
from service.threads import Threads

VERSION = "0.1.0"


def create_app(settings: Settings) -> ASGIApp:
    """The service. Its lifespan lists the models and begins to load them; nothing is answered from them before."""
    repository = Repository(settings.model_repository)
    threads = Threads(usable_cores())
    decoder = Decoder(threads, settings.max_image_pixels, settings.max_batch_inputs)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        repository.discover()
        loading = asyncio.create_task(_load(repository))
        yield
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading

    app = FastAPI(
        title="Heed",
        version=VERSION,
        description="Predictions, and the attention weights that they were made with.",
        docs_url=None,  # FastAPI's pages load their scripts from another host
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers={
            ServingError: answer_serving_error,
            HTTPException: answer_http_exception,
            Exception: answer_internal_error,
        },
    )
    app.router.routes += [
        *prediction_routes(
            Predictions(repository, decoder, threads), BodyReader(settings.max_body_bytes), settings.max_batch_inputs
        ),
        *catalogue_routes(Catalogue(repository)),
        *health_routes(Health(repository)),
    ]
    return RequestLog(app)


def create_app_from_environment() -> ASGIApp:
    """What each worker process runs: its own logging, settings and application."""
    settings = Settings()
    configure_logging(settings.log_level)
    return_freed_memory()
    logger = structlog.get_logger("service")
    for name, meant in unknown_names(os.environ):
        logger.warning("unknown setting", name=name, meant=meant)
    return create_app(settings)


async def _load(repository: Repository) -> None:
    await repository.load()
    # What is there now stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
