"""In front of FastAPI: the paths of lean routes go straight to them, all else the way it has to go."""

from collections.abc import Sequence
from typing import NamedTuple

from starlette._utils import get_route_path
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import ServingError, send_problem
from service.routing import LeanRoute

# In the place of a parameter.
ANYTHING = "{}"


class Found(NamedTuple):
    """The lean route of a path, and the path's parameters."""

    route: LeanRoute
    parameters: dict[str, str]


class Front:
    """Pure ASGI. Starlette's stack in front of the router costs a quarter of the throughput, and does nothing for a
    lean route but turn a ServingError into its problem, which is done here. Any other error is RequestLog's.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        lean = [route for route in routes if isinstance(route, LeanRoute)]
        # As the router has it: of two routes with one path the first, and fixed paths before templates that they fit.
        self._fixed = {route.path: Found(route, {}) for route in reversed(lean) if "{" not in route.path}
        self._templates = _Templates([route for route in lean if "{" in route.path])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self.find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = found.parameters
        try:
            await found.route.handle(scope, receive, send)
        except ServingError as error:
            await send_problem(error, scope, receive, send)

    def find(self, scope: Scope) -> Found | None:
        """The lean route that has this path."""
        path = get_route_path(scope) if scope.get("root_path") else scope["path"]
        return self._fixed.get(path) or self._templates.find(path)


class _Templates:
    """Paths with parameters, each a whole segment: one look-up for every set of places that parameters have in paths of
    that many segments, and no regular expression.
    """

    def __init__(self, routes: Sequence[LeanRoute]) -> None:
        self._by_length: dict[int, dict[tuple[int, ...], dict[str, LeanRoute]]] = {}
        for route in reversed(routes):
            segments = route.path.split("/")
            places = tuple(place for place, segment in enumerate(segments) if segment.startswith("{"))
            assert len(places) == route.path.count("{"), "a parameter is a whole segment"
            by_path = self._by_length.setdefault(len(segments), {}).setdefault(places, {})
            by_path[_with_anything(segments, places)] = route

    def find(self, path: str) -> Found | None:
        """The route of the template that the path fits, with the path's own segments in the parameters' places."""
        segments = path.split("/")
        for places, by_path in self._by_length.get(len(segments), {}).items():
            route = by_path.get(_with_anything(segments, places))
            values = [segments[place] for place in places]
            # An empty segment is nothing's name.
            if route is not None and all(values):
                return Found(route, dict(zip(route.param_convertors, values, strict=True)))
        return None


def _with_anything(segments: Sequence[str], places: tuple[int, ...]) -> str:
    fixed = list(segments)
    for place in places:
        fixed[place] = ANYTHING
    return "/".join(fixed)
