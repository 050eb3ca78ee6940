"""Pages of other origins: what a preflight is answered."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from service.access_log import AccessLog
from service.metrics import Unmetered
from service.origins import with_origins
from service.request_log import RequestLog
from tests.service.client import Client, problem

ORIGIN = "https://example.org"
ASKED = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


async def behind(scope: object, receive: object, send: object) -> None:
    """What a preflight never comes to."""
    raise AssertionError("the preflight was passed on")


@pytest.fixture(scope="module")
def pages() -> Iterator[Client]:
    """A service that pages of one origin may ask."""
    with start_blocking_portal() as portal:
        yield Client(RequestLog(with_origins(behind, (ORIGIN,)), AccessLog(Unmetered())), portal)


def test_preflight_of_a_known_origin_is_taken(pages: Client) -> None:
    """It names the origin, the methods and the headers."""
    response = pages.request("OPTIONS", "/predict/timeseries", headers=ASKED)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    taken = response.headers["access-control-allow-headers"]
    assert {"X-API-Key", "Inference-Header-Content-Length"} <= set(taken.split(", "))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"Origin": "https://example.com"}, "'https://example.com' may not ask this, because of its origin;"),
        ({"Access-Control-Request-Method": "DELETE"}, "because of its method; pages of known origins use GET, HEAD"),
        ({"Access-Control-Request-Headers": "x-other"}, "because of its headers;"),
        ({"Origin": "null", "Access-Control-Request-Method": "PUT"}, "because of its origin, method;"),
        ({"Access-Control-Request-Private-Network": "true"}, "because of its private-network;"),
        ({"Origin": "x" * 5000}, f"'{'x' * 100}' may not"),
        ({"Origin": b"https://\xff.example"}, "'https://ÿ.example' may not"),
    ],
)
def test_refused_preflight_is_a_problem(pages: Client, wrong: dict[str, str], reason: str) -> None:
    """It says what was wrong and what is expected."""
    response = pages.request("OPTIONS", "/predict/timeseries", headers=ASKED | wrong)

    assert reason in problem(response, 403, "foreign-origin")
    assert response.headers["content-length"] == str(len(response.content))
    is_known = response.request.headers["origin"] == ORIGIN
    assert response.headers.get("access-control-allow-origin") == (ORIGIN if is_known else None)
    assert "Origin" in response.headers["vary"]


def test_without_origins_nothing_stands_between() -> None:
    """Who names none pays for none."""
    assert with_origins(behind, ()) is behind
