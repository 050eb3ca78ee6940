"""GET /metrics: what every worker has counted, for Prometheus."""

import asyncio
from dataclasses import dataclass

from starlette.responses import PlainTextResponse

from service.api_keys import ApiKeys
from service.metrics import Metrics
from service.problems import CountsUnreadable, InvalidInput, NotAcceptable, Unauthorized, documented_problems
from service.routing import Content, LeanRoute, Received

TEXT, OPEN_METRICS = "text/plain", "application/openmetrics-text"


@dataclass(frozen=True)
class Exposition:
    """The handler of /metrics."""

    metrics: Metrics

    async def expose(self, received: Received) -> Content:
        """All series in the text format of Prometheus, or in OpenMetrics where Accept asks for it. Raises
        CountsUnreadable.
        """
        accept = ",".join(received.headers.getlist("accept"))
        self.metrics.count()
        # In a thread: it reads the files of every worker.
        return Content(*await asyncio.to_thread(self.metrics.exposition, accept))


def exposition_route(exposition: Exposition, keys: ApiKeys) -> LeanRoute:
    """The route, ready to stand in the application's router."""
    text = {"schema": {"type": "string"}}
    problems = documented_problems(Unauthorized, NotAcceptable, InvalidInput, CountsUnreadable)
    return LeanRoute(
        "/metrics",
        exposition.expose,
        keys=keys,
        gives=(TEXT, OPEN_METRICS),
        methods=["GET"],
        tags=["operation"],
        response_class=PlainTextResponse,
        response_model=None,
        responses={200: {"content": {TEXT: text, OPEN_METRICS: text}}, **problems},
    )
