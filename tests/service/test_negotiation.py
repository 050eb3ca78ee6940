"""Accept headers."""

import pytest

from service.negotiation import is_acceptable, preferred
from tests.service.client import Client
from tests.service.conftest import SERIES


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", True),
        ("*/*", True),
        ("*", True),
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/*", True),
        ("application/json;q=0.1", True),
        ("application/json; charset=utf-8", True),
        ("text/html, application/xhtml+xml, */*;q=0.8", True),
        ("application/json;q=0", False),
        ("application/json;q=0, */*", False),
        ("application/*;q=0, */*", False),
        ("*/*;q=0, application/json", True),
        ("*/*;q=0", False),
        ("text/html", False),
        ("image/*", False),
        ("application/json;q=high", False),
        (",, ,", True),
    ],
)
def test_most_specific_range_decides(accept: str, expected: bool) -> None:
    """RFC 9110, section 12.5.1."""
    assert is_acceptable("application/json", accept) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("image/png, application/json", "application/json"),
        ("image/png, */*", "application/json"),
        ("image/png, */*;q=0.8", "image/png"),
        ("image/png, application/json;q=0.9", "image/png"),
        ("image/png;q=0.2, application/json;q=0.1", "image/png"),
        ("image/png;q=0.1, application/json;q=0.2", "application/json"),
        ("application/json;q=0, */*", "image/svg+xml"),
        ("image/*", "image/svg+xml"),
        ("image/*, image/svg+xml;q=0.5", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("text/html", None),
        ("image/png;q=0", None),
    ],
)
def test_the_highest_quality_is_preferred(accept: str, expected: str | None) -> None:
    """Of equals the first: whoever takes JSON as gladly gets JSON."""
    assert preferred(("application/json", "image/svg+xml", "image/png"), accept) == expected


@pytest.mark.parametrize("accept", ["image/jpeg", "text/csv", "application/json;q=0", "*/*;q=0"])
def test_what_cannot_be_given_is_406(client: Client, accept: str) -> None:
    """Told as a problem, which every client gets whatever it accepts."""
    response = client.post("/predict/timeseries", json={"sequence": SERIES}, headers={"Accept": accept})

    assert response.status_code == 406
    assert response.headers["content-type"] == "application/problem+json"
    assert accept in response.json()["detail"]
