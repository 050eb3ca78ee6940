"""The id of a request: the caller's own where it is sane, else a new one."""

import random
import re
from collections.abc import Sequence

HEADER = b"x-request-id"
SANE_ID = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def request_id(given: Sequence[bytes]) -> bytes:
    """The caller's id, where it gave one of 1 to 128 printable ASCII characters, else a new one."""
    return given[0] if len(given) == 1 and SANE_ID.fullmatch(given[0]) else new_request_id()


def new_request_id() -> bytes:
    """An id that no other request has. It need not be hard to guess, and costs no system call."""
    return b"%032x" % random.getrandbits(128)
