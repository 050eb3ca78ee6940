"""How log lines look: JSON where a machine reads them, readable on a terminal, uvicorn's own lines in the same form."""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import orjson
import structlog

from service.exchange import with_request

# Libraries log what they read, inputs among it, at lower levels than this: only these loggers follow the setting.
LEVEL_OF_OTHERS = logging.WARNING
OWN_LOGGERS = ("service", "uvicorn")

SHARED: list[Any] = [
    with_request,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso"),
]


def configure_logging(level: str) -> None:
    """Set up the process's logging, to stderr. Called once at the start of each process."""
    own_level = logging.getLevelNamesMapping()[level.upper()]
    # Our own lines go straight to the stream: through the standard library an access line would cost as much as a
    # model's run.
    structlog.configure(
        processors=[*SHARED, *_renderers(_written)],
        logger_factory=_Stderr,
        wrapper_class=structlog.make_filtering_bound_logger(own_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*SHARED, _without_colours],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(_written_text)],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(own_level, LEVEL_OF_OTHERS), force=True)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(own_level)
    logging.captureWarnings(True)


class _Stderr:
    """Writes each line whole, at once. It has a name, like the standard library's loggers."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._write = structlog.BytesLogger(sys.stderr.buffer).msg

    def msg(self, line: bytes) -> None:
        """Write one line."""
        self._write(line)

    debug = info = warning = error = critical = exception = msg


def _renderers(json_writer: Callable[..., bytes | str]) -> list[Any]:
    if sys.stderr.isatty():
        # The default formatter prints the frames' variables: inputs are never logged.
        console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        return [console] if json_writer is _written_text else [console, _encoded]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(json_writer)]


def _encoded(logger: Any, method: str, line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace")


def _written(document: dict[str, Any], **_: Any) -> bytes:
    return orjson.dumps(document, default=repr)


def _written_text(document: dict[str, Any], **_: Any) -> str:
    return _written(document).decode()


def _without_colours(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # uvicorn gives its messages a second time, in colour.
    event.pop("color_message", None)
    return event
