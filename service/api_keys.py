"""API keys: which are taken, and whether a request has one of them."""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from service.problems import Unauthorized

LEAST_CHARACTERS = 16
SANE_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
REALM = 'Bearer realm="heed"'
HOW_TO_GIVE_ONE = "as 'Authorization: Bearer …' or 'X-API-Key: …'"


class ApiKeys:
    """Lets through whoever has one of the keys; without keys, everybody."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple({sha256(key.encode()).digest() for key in keys})

    @property
    def are_set(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._digests)

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises Unauthorized. One key may be given both ways; two keys are refused, so that whoever counts requests
        by key in front of the service counts by the key that was taken.
        """
        if not self._digests:
            return
        given = _given(headers)
        if not given:
            raise Unauthorized(f"an API key is expected, {HOW_TO_GIVE_ONE}", {"WWW-Authenticate": REALM})
        if len(given) > 1 or not self._is_known(given.pop()):
            detail = f"one API key that is known here is expected, {HOW_TO_GIVE_ONE}"
            raise Unauthorized(detail, {"WWW-Authenticate": f'{REALM}, error="invalid_token"'})

    def _is_known(self, key: bytes) -> bool:
        digest, matches = sha256(key).digest(), False
        # Every one is compared: how long it takes tells nothing about which key was close, or where.
        for known in self._digests:
            matches |= hmac.compare_digest(digest, known)
        return matches


def _given(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    given: set[bytes] = set()
    for name, value in headers:
        if name == b"x-api-key":
            given.add(value.strip(b" \t"))
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            given.add(value[7:].strip(b" \t"))
    given.discard(b"")
    return given


def keys_in_text(text: str) -> list[str]:
    """The keys between commas and white space. Raises ValueError, which tells a wrong key's place and never the key."""
    keys = [key for key in re.split(r"[,\s]+", text) if key]
    if not keys:
        raise ValueError("there is no key in it; leave the setting out to ask for none")
    for place, key in enumerate(keys, start=1):
        _check_key(f"key {place}", key)
    return keys


def keys_in_file(path: Path) -> list[str]:
    """The keys, one a line, of a file that may have empty lines and lines that begin with #. Raises ValueError."""
    # The path is not told: it is a key where somebody took one setting for the other.
    if not path.is_file():
        raise ValueError("there is no such file")
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("the file is not ASCII") from None
    keys = {place: line.strip() for place, line in enumerate(lines, start=1)}
    keys = {place: key for place, key in keys.items() if key and not key.startswith("#")}
    if not keys:
        raise ValueError("there is no key in the file; leave the setting out to ask for none")
    for place, key in keys.items():
        _check_key(f"line {place}", key)
    return list(keys.values())


def taken_keys(text: SecretStr | None, file: Path | None) -> list[str]:
    """The keys of both settings together, the setting's own first."""
    in_text = [] if text is None else keys_in_text(text.get_secret_value())
    return in_text + ([] if file is None else keys_in_file(file))


def _check_key(place: str, key: str) -> None:
    if not SANE_KEY.fullmatch(key):
        raise ValueError(f"{place} has other characters than printable ASCII without spaces and commas")
    if len(key) < LEAST_CHARACTERS:
        raise ValueError(f"{place} is too short, at least {LEAST_CHARACTERS} characters are expected")
