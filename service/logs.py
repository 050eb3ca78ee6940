"""How log lines look: JSON where a machine reads them, readable on a terminal, uvicorn's own lines in the same form."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# Libraries log what they read, inputs among it, at lower levels than this: only these loggers follow the setting.
LEVEL_OF_OTHERS = logging.WARNING
OWN_LOGGERS = ("service", "uvicorn")

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso"),
]


def configure_logging(level: str) -> None:
    """Set up the process's logging, to stderr. Called once at the start of each process."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*SHARED, _without_colours],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers()],
        )
    )
    own_level = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(own_level, LEVEL_OF_OTHERS), force=True)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(own_level)
    logging.captureWarnings(True)


def _renderers() -> list[Any]:
    if sys.stderr.isatty():
        # The default formatter prints the frames' variables: inputs are never logged.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _without_colours(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # uvicorn gives its messages a second time, in colour.
    event.pop("color_message", None)
    return event
