"""Heads that were asked before: who keeps a connection sends the same one again and again, and it is parsed once."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from starlette.types import Scope

from service.exchange import Exchange
from service.front import Found
from service.request_id import HEADER, SANE_ID, new_request_id
from service.request_log import SANE_TRACEPARENT, TRACEPARENT
from service.routing import Head, Prompt

END_OF_LINE, END_OF_HEAD = b"\r\n", b"\r\n\r\n"
# So many are kept, none longer than this: a few megabytes.
MOST_KNOWN, LONGEST_KNOWN = 1024, 2048
# What has one of these is more than a request.
NEVER_KNOWN = {b"upgrade", b"expect"}
# Each request has its own of these: a head is known without them.
IDS = {HEADER: SANE_ID, TRACEPARENT: SANE_TRACEPARENT}
LINE_OF_AN_ID = re.compile(b"\r\n(%b): " % b"|".join(IDS), re.IGNORECASE)
MOST_SPELLINGS = 8


class Known(NamedTuple):
    """What a head asks, and how long it and the body behind it are. Its ids are empty where it has none. `prompt`: how
    its route answers it without waiting for more than a run, if it does.
    """

    head_size: int
    content_size: int
    scope: Scope
    found: Found
    head: Head
    prompt: Prompt | None
    request_id: bytes = b""
    traceparent: bytes = b""

    def begin(self, exchange: Exchange) -> None:
        """A request of this head begins to be answered."""
        exchange.begin(self.request_id or new_request_id(), self.traceparent)


class KnownHeads:
    """By their bytes, those of the ids in them left out."""

    def __init__(self) -> None:
        self.known: dict[bytes, Known] = {}
        # How clients begin the lines of their ids, and whose these are.
        self._spellings: dict[bytes, bytes] = {}

    def of(self, data: bytes) -> Known | None:
        """What these bytes ask, if they are one whole request whose head was asked before."""
        size = data.find(END_OF_HEAD) + len(END_OF_HEAD)
        known = self.known.get(data[:size])
        if known is None and self._spellings:
            known = self._with_ids(data[:size])
        return known if known is not None and size + known.content_size == len(data) else None

    def keep(self, raw: bytes, content: bytes, scope: Scope, found: Found, head: Head) -> None:
        """These bytes were parsed: a head and this content, if nothing is around them."""
        size = raw.find(END_OF_HEAD) + len(END_OF_HEAD)
        names = [name for name, _ in head.headers]
        if size > LONGEST_KNOWN or raw[size:] != content or not NEVER_KNOWN.isdisjoint(names):
            return
        own = {line[0]: line[1].lower() for line in LINE_OF_AN_ID.finditer(raw, 0, size)}
        rest, ids = _parted(raw[:size], own)
        if len(ids) < sum(name in IDS for name in names):
            # One is not sane, or there are two, or it is written in a way that would not be found again.
            return
        if len(self.known) >= MOST_KNOWN or len(self._spellings | own) > MOST_SPELLINGS:
            self.known.clear()
            self._spellings.clear()
        self._spellings |= own
        headers = [header for header in head.headers if header[0] not in IDS]
        lasting = {**_lasting(scope), "headers": headers}
        head = replace(head, headers=headers)
        prompt = found.route.prompt(head, len(content))
        self.known[rest] = Known(len(rest), len(content), lasting, found, head, prompt)

    def _with_ids(self, head: bytes) -> Known | None:
        rest, ids = _parted(head, self._spellings)
        known = self.known.get(rest)
        if known is None:
            return None
        return known._replace(
            head_size=len(head), request_id=ids.get(HEADER, b""), traceparent=ids.get(TRACEPARENT, b"")
        )


def _parted(head: bytes, spellings: Mapping[bytes, bytes]) -> tuple[bytes, dict[bytes, bytes]]:
    """The head with nothing in the places of its ids, and these; one that is not sane stays where it is."""
    ids: dict[bytes, bytes] = {}
    for spelling, name in spellings.items():
        place = head.find(spelling)
        if place >= 0:
            begin = place + len(spelling)
            end = head.find(END_OF_LINE, begin)
            if IDS[name].fullmatch(head, begin, end):
                ids[name] = head[begin:end]
                head = head[:begin] + head[end:]
    return head, ids


def _lasting(scope: Scope) -> Scope:
    """What of it is the head's, and not the connection's or the request's."""
    return {name: value for name, value in scope.items() if name not in ("client", "server", "state")}
