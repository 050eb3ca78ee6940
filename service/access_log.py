"""What is told of a request once it is answered: one line, and one more in the metrics."""

import logging

import structlog
from starlette.types import Scope

from service.admission import PROBES
from service.exchange import CURRENT, Exchange
from service.logs import written_together
from service.metrics import Metrics


class AccessLog:
    """Probes are told at level debug, everything else at info."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Bound once: the lazy one would ask at each line which it is.
        self._logger = structlog.get_logger("service.access").bind()
        # With the seconds that each took.
        self._noted: list[tuple[Scope, Exchange, float]] = []

    def tell(self, scope: Scope, exchange: Exchange) -> None:
        """The request is answered, or its client gone."""
        self._count(exchange)
        self._log(scope, exchange, exchange.seconds)

    def note(self, scope: Scope, exchange: Exchange) -> None:
        """The same. The line is written at the end of the turn of the event loop, with the others of that turn: between
        two answers it would cost a quarter of an answer.
        """
        self._count(exchange)
        if self._logger.is_enabled_for(logging.INFO):
            if not self._noted:
                exchange.loop.call_soon(self._tell_noted)
            self._noted.append((scope, exchange, exchange.seconds))

    def _tell_noted(self) -> None:
        noted, self._noted = self._noted, []
        with written_together():
            for scope, exchange, seconds in noted:
                marked = CURRENT.set(exchange)
                self._log(scope, exchange, seconds)
                CURRENT.reset(marked)

    def _count(self, exchange: Exchange) -> None:
        model = exchange.model
        name, version = (model.name, model.version) if model else ("", "")
        self._metrics.count_request(exchange.route, exchange.outcome, name, version, exchange.seconds)

    def _log(self, scope: Scope, exchange: Exchange, seconds: float) -> None:
        if not self._logger.is_enabled_for(logging.INFO):
            return
        self._logger.log(
            logging.DEBUG if scope["path"].endswith(PROBES) else logging.INFO,
            "request",
            method=scope["method"],
            path=scope.get("raw_path", b"").decode("ascii", "backslashreplace")[:2000],
            status=exchange.status,
            duration_ms=round(seconds * 1000, 3),
        )
