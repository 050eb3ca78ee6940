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
        self._noted: list[tuple[Scope, Exchange]] = []

    @property
    def has_lines(self) -> bool:
        """Whether anybody wants them."""
        return bool(self._logger.is_enabled_for(logging.INFO))

    def count(self, route: str, problem: str) -> None:
        """Where nobody wants a line: a request that was told this, in no time."""
        self._metrics.count_request(route, problem)

    def tell(self, scope: Scope, exchange: Exchange) -> None:
        """The request is answered, or its client gone."""
        self._count(exchange)
        if self.has_lines:
            self._log(scope, exchange)

    def note(self, scope: Scope, exchange: Exchange) -> None:
        """The same, at the end of the turn of the event loop, with the others of that turn: between two answers a line
        would cost a quarter of an answer.
        """
        if not self._noted:
            exchange.loop.call_soon(self._tell_noted)
        self._noted.append((scope, exchange))

    def _tell_noted(self) -> None:
        noted, self._noted = self._noted, []
        for _, exchange in noted:
            self._count(exchange)
        if not self.has_lines:
            return
        with written_together():
            for scope, exchange in noted:
                marked = CURRENT.set(exchange)
                self._log(scope, exchange)
                CURRENT.reset(marked)

    def _count(self, exchange: Exchange) -> None:
        model = exchange.model
        name, version = (model.name, model.version) if model else ("", "")
        self._metrics.count_request(exchange.route, exchange.outcome, name, version, exchange.seconds)

    def _log(self, scope: Scope, exchange: Exchange) -> None:
        self._logger.log(
            logging.DEBUG if scope["path"].endswith(PROBES) else logging.INFO,
            "request",
            method=scope["method"],
            path=scope.get("raw_path", b"").decode("ascii", "backslashreplace")[:2000],
            status=exchange.status,
            duration_ms=round(exchange.seconds * 1000, 3),
        )
