"""/openapi.json as a route like the others."""

from pathlib import Path

import pytest

from service.settings import Settings
from tests.service.client import Client, problem, running


def test_head_is_answered(client: Client) -> None:
    """With the length of the document."""
    head = client.request("HEAD", "/openapi.json")

    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(client.get("/openapi.json").content))


def test_accept_and_query_are_looked_at(client: Client) -> None:
    """It is JSON and takes no parameters."""
    problem(client.get("/openapi.json", headers={"Accept": "image/png"}), 406, "not-acceptable")
    problem(client.get("/openapi.json?format=yaml"), 422, "invalid-input")


@pytest.mark.parametrize("root_path", ["", "/heed"])
def test_server_is_where_the_proxy_has_it(tmp_path: Path, root_path: str) -> None:
    """Paths in the document are relative to the root path."""
    with running(Settings(model_repository=tmp_path, root_path=root_path)) as client:
        document = client.get("/openapi.json").json()

    assert document.get("servers") == ([{"url": root_path}] if root_path else None)
