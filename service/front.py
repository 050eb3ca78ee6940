"""In front of FastAPI: the fixed paths of lean routes go straight to them, all else the way it has to go."""

from collections.abc import Sequence

from starlette._utils import get_route_path
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import ServingError, send_problem
from service.routing import LeanRoute


class Front:
    """Pure ASGI. Starlette's stack in front of the router costs a quarter of the throughput, and does nothing for a
    lean route but turn a ServingError into its problem, which is done here. Any other error is RequestLog's.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        # As the router has it: of two routes with one path the first.
        lean = [route for route in routes if isinstance(route, LeanRoute) and "{" not in route.path]
        self._routes = {route.path: route for route in reversed(lean)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self.route(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        try:
            await route.handle(scope, receive, send)
        except ServingError as error:
            await send_problem(error, scope, receive, send)

    def route(self, scope: Scope) -> LeanRoute | None:
        """The lean route that has this path."""
        return self._routes.get(get_route_path(scope) if scope.get("root_path") else scope["path"])
