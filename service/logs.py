"""How log lines look: JSON where a machine reads them, readable on a terminal, uvicorn's own lines in the same form."""

import logging
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from select import PIPE_BUF
from typing import Any

import orjson
import structlog

from service.exchange import with_request

# Libraries log what they read, inputs among it, at lower levels than this: only these loggers follow the setting.
LEVEL_OF_OTHERS = logging.WARNING
OWN_LOGGERS = ("service", "uvicorn")

# Of this moment, and this thread's alone.
KEPT: ContextVar[list[bytes] | None] = ContextVar("heed_kept_lines", default=None)

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
        processors=OWN_ON_A_TERMINAL if sys.stderr.isatty() else OWN_AS_JSON,
        logger_factory=_Stderr,
        wrapper_class=structlog.make_filtering_bound_logger(own_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*SHARED, _without_colours],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(CONSOLE if sys.stderr.isatty() else JSON_TEXT),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(own_level, LEVEL_OF_OTHERS), force=True)
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(own_level)
    logging.captureWarnings(True)


@contextmanager
def written_together() -> Iterator[None]:
    """Our own lines of this block are written at its end, in few pieces: a system call costs more than a line."""
    lines: list[bytes] = []
    marked = KEPT.set(lines)
    try:
        yield
    finally:
        KEPT.reset(marked)
        for piece in pieces(lines):
            structlog.BytesLogger(sys.stderr.buffer).msg(piece)


def pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines joined, as many as a pipe takes whole: what several workers write does not mix within a line."""
    piece = b""
    for line in lines:
        if piece and len(piece) + len(line) + 2 > PIPE_BUF:
            yield piece
            piece = b""
        piece = piece + b"\n" + line if piece else line
    if piece:
        yield piece


class _Stderr:
    """Writes each line whole, at once, unless they are kept. It has a name, like the standard library's loggers."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._write = structlog.BytesLogger(sys.stderr.buffer).msg

    def msg(self, line: bytes) -> None:
        """Write one line."""
        kept = KEPT.get()
        if kept is None:
            self._write(line)
        else:
            kept.append(line)

    debug = info = warning = error = critical = exception = msg


def _encoded(logger: Any, method: str, line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace")


def _line(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    """What the SHARED processors add, and the JSON of it, in one step: a third of the time of a step for each."""
    with_request(logger, method, event)
    structlog.stdlib.add_log_level(logger, method, event)
    event["logger"] = logger.name
    event["timestamp"] = datetime.now(UTC)
    if "exc_info" in event:
        structlog.processors.format_exc_info(logger, method, event)
    return _written(event)


def _written(document: MutableMapping[str, Any]) -> bytes:
    return orjson.dumps(document, default=repr, option=orjson.OPT_UTC_Z)


def _written_text(document: MutableMapping[str, Any], **_: Any) -> str:
    return _written(document).decode()


# The default formatter prints the frames' variables: inputs are never logged.
CONSOLE: list[Any] = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
JSON_TEXT: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_written_text)]
OWN_ON_A_TERMINAL: list[Any] = [*SHARED, *CONSOLE, _encoded]
OWN_AS_JSON: list[Any] = [_line]


def _without_colours(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # uvicorn gives its messages a second time, in colour.
    event.pop("color_message", None)
    return event
