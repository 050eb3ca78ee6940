"""What is told of a request once it is answered: one line, and one more in the metrics."""

import logging

import structlog
from starlette.types import Scope

from service.admission import PROBES
from service.exchange import Exchange
from service.metrics import Metrics


class AccessLog:
    """Probes are told at level debug, everything else at info."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Bound once: the lazy one would ask at each line which it is.
        self._logger = structlog.get_logger("service.access").bind()

    def tell(self, scope: Scope, exchange: Exchange) -> None:
        """The request is answered, or its client gone."""
        model = exchange.model
        name, version = (model.name, model.version) if model else ("", "")
        self._metrics.count_request(exchange.route, exchange.outcome, name, version, exchange.seconds)
        if not self._logger.is_enabled_for(logging.INFO):
            return
        level = logging.DEBUG if scope["path"].endswith(PROBES) else logging.INFO
        self._logger.log(
            level,
            "request",
            method=scope["method"],
            path=scope.get("raw_path", b"").decode("ascii", "backslashreplace")[:2000],
            status=exchange.status,
            duration_ms=round(exchange.seconds * 1000, 3),
        )
