"""A file for browsers: read whole at the start, told apart by its ETag, compressed where that is taken."""

import asyncio
import gzip
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from starlette.datastructures import Headers

from service.negotiation import is_acceptable
from service.routing import NOT_MODIFIED, Content

HTML = "text/html"
# By the end of a file's name. What ends otherwise is no file for browsers.
MEDIA_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
    ".html": HTML,
}
COMPRESSED_ALREADY = {".png", ".woff2"}
HEADERS = (
    # A browser keeps it and asks each time whether it still holds: a page and its files are always of one release.
    (b"cache-control", b"no-cache"),
    (b"vary", b"Accept-Encoding"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
# What a script, a style or a picture may load where it is opened alone.
NOTHING = "default-src 'none'; frame-ancestors 'none'"


class StaticFile:
    """One file, and how it is answered. `policy`: what it may load, as Content-Security-Policy says it."""

    def __init__(self, path: Path, policy: str = NOTHING) -> None:
        self.media_type = MEDIA_TYPES[path.suffix]
        self._content_type = self.media_type + ("; charset=utf-8" if self.media_type.startswith("text/") else "")
        self._body = path.read_bytes()
        self._tag = sha256(self._body).hexdigest()[:32]
        self._headers = (*HEADERS, (b"content-security-policy", policy.encode()))
        self._may_be_compressed = path.suffix not in COMPRESSED_ALREADY

    async def answer(self, headers: Headers) -> Content:
        """The file; without its bytes (304) where the caller has them."""
        is_compressed = self._may_be_compressed and _takes_gzip(headers)
        tag = f'"{self._tag}-gzip"' if is_compressed else f'"{self._tag}"'
        told = (*self._headers, (b"etag", tag.encode()))
        if _has(tag, headers.getlist("if-none-match")):
            return Content(b"", self._content_type, told, NOT_MODIFIED)
        if not is_compressed:
            return Content(self._body, self._content_type, told)
        # In a thread: the first time, a library takes a tenth of a second.
        compressed = await asyncio.to_thread(lambda: self._compressed)
        return Content(compressed, self._content_type, (*told, (b"content-encoding", b"gzip")))

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self._body, mtime=0)


def _takes_gzip(headers: Headers) -> bool:
    accepted = ",".join(headers.getlist("accept-encoding"))
    return bool(accepted.strip()) and is_acceptable("gzip", accepted)


def _has(tag: str, known: Iterable[str]) -> bool:
    # Compared weakly, as RFC 9110 has it here: a proxy that changes the bytes on the way has made the tag weak.
    tags = {one.strip().removeprefix("W/") for one in ",".join(known).split(",")}
    return tag in tags or "*" in tags
