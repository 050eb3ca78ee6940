"""API keys: who is let through, and what is told to whoever is not."""

import pytest
from pydantic import SecretStr

from service.api_keys import ApiKeys, taken_keys
from service.problems import Unauthorized

OLD = "old-0123456789abcdef"
NEW = "new-0123456789ABCDEF"
KEYS = ApiKeys([OLD, NEW])
Headers = list[tuple[bytes, bytes]]


def bearer(key: str, scheme: str = "Bearer ") -> tuple[bytes, bytes]:
    """The key as Authorization."""
    return b"authorization", f"{scheme}{key}".encode()


def named(key: str) -> tuple[bytes, bytes]:
    """The key as X-API-Key."""
    return b"x-api-key", key.encode()


@pytest.mark.parametrize(
    "headers",
    [
        [bearer(OLD)],
        [bearer(NEW)],
        [bearer(NEW, "bearer ")],
        [bearer(NEW, "BEARER  ")],
        [named(OLD)],
        [(b"host", b"x"), named(NEW)],
        [bearer(OLD), named(OLD)],
        [bearer("user:password", "Basic "), named(OLD)],
        [bearer(OLD), named("")],
    ],
)
def test_each_key_is_taken_either_way(headers: Headers) -> None:
    """So that a key is replaced while the old one still works; a login for a proxy in front does not disturb it."""
    KEYS.check(headers)


@pytest.mark.parametrize("headers", [[], [(b"host", b"x")], [bearer(OLD, "Basic ")], [bearer("")], [named("")]])
def test_missing_key_is_asked_for(headers: Headers) -> None:
    """Without an error code, as RFC 6750 has it where nothing was tried."""
    with pytest.raises(Unauthorized) as refused:
        KEYS.check(headers)

    assert refused.value.headers == {"WWW-Authenticate": 'Bearer realm="heed"'}


@pytest.mark.parametrize(
    "headers",
    [
        [bearer("wrong-0123456789")],
        [named("wrong-0123456789")],
        [named(OLD[:-1])],
        [named(OLD + "x")],
        [named(OLD.upper())],
        [named(f"{OLD},{NEW}")],
        [bearer("schlüssel-0123456789")],
        [bearer(OLD), named(NEW)],
        [bearer("wrong-0123456789"), named(OLD)],
        [bearer("wrong-0123456789"), bearer(OLD)],
    ],
)
def test_wrong_key_is_refused(headers: Headers) -> None:
    """Also beside a right one: a limit of requests for each key would be counted for the other. No key is told."""
    with pytest.raises(Unauthorized) as refused:
        KEYS.check(headers)

    assert refused.value.headers == {"WWW-Authenticate": 'Bearer realm="heed", error="invalid_token"'}
    assert "0123456789" not in refused.value.detail


def test_without_keys_everybody_is_let_through() -> None:
    """Keys are asked for where some are set, and only there."""
    ApiKeys([]).check([named("anything")])


def test_keys_of_both_settings_are_taken(tmp_path_factory: pytest.TempPathFactory) -> None:
    """From the variable, which may have several lines, and from a file with comments and Windows line ends."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_bytes(b"# the new one\r\n\r\n  third-0123456789abcdef\r\n#fourth-0123456789abcdef\r\n")

    assert taken_keys(SecretStr(f"{OLD}, \n{NEW}\n"), file) == [OLD, NEW, "third-0123456789abcdef"]
    assert taken_keys(None, None) == []


def test_keys_are_not_shown() -> None:
    """Whoever prints the object in a log prints no key, and no digest that could be searched for one."""
    assert "old" not in f"{KEYS} {KEYS!r}"
    assert "digest" not in repr(KEYS)
