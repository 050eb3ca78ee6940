"""GET /v2/health/…: whether the process answers, and whether its models are loaded."""

from dataclasses import dataclass

from service.admission import Admission
from service.problems import Draining, InvalidInput, NotAcceptable, NotReady, documented_problems
from service.readiness import Readiness
from service.repository import Repository
from service.routing import Document, LeanRoute
from service.schemas import Live, Ready


@dataclass(frozen=True)
class Health:
    """The handlers of /v2/health."""

    repository: Repository
    readiness: Readiness
    admission: Admission

    async def live(self) -> Document:
        """The process answers."""
        return {"live": True}

    async def ready(self) -> Document:
        """All models found were loaded or refused, at least one is served, and the server does not stop."""
        if self.admission.is_draining:
            raise Draining("the server is stopping", {"Retry-After": "1"})
        if not (self.repository.is_ready and self.readiness.is_complete):
            raise NotReady("models are still loading, or none could be loaded; GET /models tells", {"Retry-After": "1"})
        return {"ready": True}


def health_routes(health: Health) -> list[LeanRoute]:
    """The two routes, ready to stand in the application's router."""
    live, ready = (
        documented_problems(NotAcceptable, InvalidInput),
        documented_problems(NotAcceptable, InvalidInput, NotReady, Draining),
    )
    return [
        LeanRoute("/v2/health/live", health.live, methods=["GET"], tags=["health"], response_model=Live,
                  responses=live),
        LeanRoute("/v2/health/ready", health.ready, methods=["GET"], tags=["health"], response_model=Ready,
                  responses=ready),
    ]  # fmt: skip
