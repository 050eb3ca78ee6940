"""GET /, /docs and /redoc: pages for browsers, and what each of them may load, all of it from here."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from service.api_keys import ApiKeys
from service.routing import Content, LeanRoute, Received
from service.static_file import HTML, StaticFile
from service.static_files import DOCUMENTATION, FOLDER

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Redoc adds its rules to style elements that are empty in the document, which is the hash of nothing; the other is the
# style of its scroll bars. No other style is taken. Its search is a worker.
STYLES_OF_REDOC = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
POLICY_OF_REDOC = POLICY.replace("style-src 'self'", f"style-src 'self' {STYLES_OF_REDOC}") + "; worker-src blob:"


class State(BaseModel, extra="ignore"):
    """What a page keeps in its own address. Its script reads it."""


@dataclass(frozen=True)
class Page:
    """The handler of one page."""

    file: StaticFile

    async def show(self, received: Received, state: Annotated[State, Query()]) -> Content:
        """The page, for browsers."""
        return await self.file.answer(received.headers)


def page_routes(page: ApiKeys, documentation: ApiKeys) -> list[LeanRoute]:
    """The routes, ready to stand in the application's router. They are for people, and in no document for clients."""
    pages = (
        ("/", FOLDER / "index.html", POLICY, page),
        ("/docs", DOCUMENTATION / "docs.html", POLICY, documentation),
        ("/redoc", DOCUMENTATION / "redoc.html", POLICY_OF_REDOC, documentation),
    )
    return [
        LeanRoute(path, Page(StaticFile(file, policy)).show, keys=keys, gives=(HTML,), methods=["GET"],
                  include_in_schema=False)
        for path, file, policy, keys in pages
    ]  # fmt: skip
