"""GET /web/…: the files that pages load, those that were there at the start. No path is looked up on a request."""

from dataclasses import dataclass
from pathlib import Path

from service.api_keys import ApiKeys
from service.libraries import FOLDER_NAME, HOW_TO_WRITE_THEM, NEEDED, OF_THE_PAGE
from service.negotiation import is_acceptable
from service.problems import NotAcceptable, PathNotFound
from service.routing import Content, LeanRoute, Received
from service.static_file import HTML, MEDIA_TYPES, StaticFile

FOLDER = Path(__file__).parent / "web"
DOCUMENTATION = FOLDER / "documentation"


@dataclass(frozen=True)
class StaticFiles:
    """The handler of /web: each file, and the keys that open it."""

    files: dict[str, tuple[StaticFile, ApiKeys]]

    async def give(self, file: str, received: Received) -> Content:
        """One file."""
        if file not in self.files:
            raise PathNotFound(_missing(file))
        found, keys = self.files[file]
        keys.check(received.head.headers)
        accept = ",".join(received.headers.getlist("accept"))
        if not is_acceptable(found.media_type, accept):
            raise NotAcceptable(f"Accept is '{accept[:100]}', this file is {found.media_type}")
        return await found.answer(received.headers)


def static_files(page: ApiKeys, documentation: ApiKeys, folder: Path = FOLDER) -> StaticFiles:
    """All files by their names, opened by the keys of the pages that load them."""
    libraries = _paths(folder / FOLDER_NAME)
    keys = {
        **dict.fromkeys(_paths(folder), page),
        **dict.fromkeys(_paths(folder / DOCUMENTATION.name), documentation),
        **{path: page if path.name in OF_THE_PAGE else documentation for path in libraries},
    }
    return StaticFiles({path.name: (StaticFile(path), theirs) for path, theirs in keys.items()})


def static_route(files: StaticFiles) -> LeanRoute:
    """The route, ready to stand in the application's router."""
    gives = tuple(MEDIA_TYPES.values())
    return LeanRoute("/web/{file}", files.give, gives=gives, methods=["GET"], include_in_schema=False)


def _paths(folder: Path) -> list[Path]:
    # Pages have paths of their own, and what they may load is said there.
    types = {end for end, media_type in MEDIA_TYPES.items() if media_type != HTML}
    return sorted(path for path in folder.glob("*") if path.suffix in types)


def _missing(name: str) -> str:
    if name in NEEDED:
        return f"{name} was not there when the service started; {HOW_TO_WRITE_THEM} writes it"
    return f"there is nothing at /web/{name[:100]}"
