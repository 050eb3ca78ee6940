"""Who is let in, for how long, and from which pages."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from pydantic import SecretStr

from service.settings import Settings
from tests.service.client import Client, problem, running
from tests.service.conftest import SERIES

KEY = "first-key-of-the-tests"
OTHER_KEY = "second-key-of-the-tests"
BODY = {"sequence": SERIES}
ORIGIN = "https://example.org"


@pytest.fixture(scope="module")
def locked(repository: Path) -> Iterator[Client]:
    """A service with two keys, and pages of one origin."""
    settings = Settings(
        model_repository=repository,
        api_keys=SecretStr(f"{KEY},{OTHER_KEY}"),
        cors_origins=(ORIGIN,),
        open_paths=frozenset(),
    )
    with running(settings, is_loaded=False) as service:
        service.wait_until_ready()
        yield service


@pytest.mark.parametrize("headers", [{"X-API-Key": KEY}, {"Authorization": f"bearer {OTHER_KEY}"}])
@pytest.mark.parametrize("path", ["/models", "/models/timeseries", "/openapi.json"])
def test_every_key_opens(locked: Client, path: str, headers: dict[str, str]) -> None:
    """Old and new one, in either header."""
    assert locked.get(path, headers=headers).status_code == 200
    assert locked.post("/predict/timeseries", json=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": f"Basic {KEY}"}, {"X-API-Key": KEY + "x"}]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/models"), ("GET", "/openapi.json"), ("POST", "/predict/image")])
def test_without_a_key_nothing_is_told(locked: Client, method: str, path: str, headers: dict[str, str]) -> None:
    """401 as a problem that says how to ask, before anything else of the request is looked at."""
    response = locked.request(method, path, params={"nope": "1"}, headers=headers)

    assert KEY not in problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].startswith('Bearer realm="heed"')


def test_health_needs_no_key(locked: Client) -> None:
    """Whoever watches the service has none."""
    assert locked.get("/v2/health/live").status_code == 200
    assert locked.get("/v2/health/ready").status_code == 200


def test_pages_of_a_named_origin_may_read(locked: Client) -> None:
    """A preflight has no key and is answered; the answer that follows names the origin, refusals too."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}

    preflight = locked.request("OPTIONS", "/predict/timeseries", headers=asked)
    answered = locked.post("/predict/timeseries", json=BODY, headers={"Origin": ORIGIN, "X-API-Key": KEY})
    refused = locked.post("/predict/timeseries", json=BODY, headers={"Origin": ORIGIN})

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert answered.headers["access-control-allow-origin"] == ORIGIN
    assert "X-Request-ID" in answered.headers["access-control-expose-headers"]
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_other_origins_are_told_nothing(locked: Client, client: Client) -> None:
    """Neither of a service with origins, nor of one that names none."""
    headers = {"Origin": "https://example.com", "X-API-Key": KEY}

    assert "access-control-allow-origin" not in locked.get("/models", headers=headers).headers
    assert "access-control-allow-origin" not in client.get("/models", headers=headers).headers


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "soon", "", "000"])
def test_wrong_deadline_is_refused(client: Client, value: str) -> None:
    """It is told what was expected, and nothing falls back silently."""
    response = client.post("/predict/timeseries", json=BODY, headers={"X-Request-Timeout-Ms": value})

    assert f"'{value}'" in problem(response, 422, "invalid-input")


@pytest.mark.parametrize("value", ["2000", "9" * 5000])
def test_deadline_that_is_met_changes_nothing(client: Client, value: str) -> None:
    """A longer one than the setting's is no longer than the setting's."""
    response = client.post("/predict/timeseries", json=BODY, headers={"X-Request-Timeout-Ms": value})

    assert response.status_code == 200


def test_deadline_that_passes_is_told(repository: Path) -> None:
    """504, while the body of the request has long been there."""
    with running(Settings(model_repository=repository, max_queue_size=20_000)) as service:
        bodies = [{"sequences": [SERIES] * 256} for _ in range(40)]
        answers = service.post_together(
            "/predict/timeseries/batch",
            [orjson.dumps(body) for body in bodies],
            headers={"Content-Type": "application/json", "X-Request-Timeout-Ms": "1"},
        )

    assert {one.status_code for one in answers} <= {200, 504}
    late = [one for one in answers if one.status_code == 504]
    assert late
    for one in late:
        problem(one, 504, "deadline")
