"""/, /docs and /redoc: pages that load from the service alone, wherever a proxy has it, and what they may load."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from pydantic import SecretStr

from service.page import POLICY
from service.settings import Settings
from service.static_files import DOCUMENTATION, FOLDER
from tests.service.client import Client, problem, running

KEY = "a-key-of-the-tests"
PAGES = ("/", "/docs", "/redoc")
DOCUMENTED = PAGES[1:]


class References(HTMLParser):
    """What a page names to be loaded or followed, and what of it stands in the page itself."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note it."""
        named = dict(attributes)
        self.found += [one for name, one in attributes if name in ("src", "href", "action", "data") and one]
        if (tag == "script" and "src" not in named) or tag == "style":
            self.inline.append(tag)
        self.inline += [name for name in named if name == "style" or name.startswith("on")]


@pytest.fixture(scope="module")
def closed(repository: Path) -> Iterator[Client]:
    """A service that asks for a key, wherever it can."""
    settings = Settings(model_repository=repository, api_keys=SecretStr(KEY), open_paths=frozenset())
    with running(settings, is_loaded=False) as service:
        yield service


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_html_and_nothing_else(client: Client, path: str) -> None:
    """As browsers ask for it, and as nobody asks for anything; who takes JSON alone is told so."""
    asked = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
    response = client.get(path, headers={"Accept": asked})

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text.startswith("<!doctype html>")
    assert client.get(path).content == response.content
    assert client.request("HEAD", path).status_code == 200
    problem(client.get(path, headers={"Accept": "application/json"}), 406, "not-acceptable")
    problem(client.post(path), 405, "method-not-allowed")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_may_load_from_the_service_alone(client: Client, path: str) -> None:
    """No other host, no script or style in the page but those named by their hash, no eval, no frame around it."""
    policy = client.get(path).headers["content-security-policy"]
    allowed = {name: sources.split() for name, _, sources in (one.strip().partition(" ") for one in policy.split(";"))}

    assert allowed["default-src"] == allowed["frame-ancestors"] == allowed["base-uri"] == ["'none'"]
    assert allowed["script-src"] == allowed["connect-src"] == ["'self'"]
    assert "unsafe" not in policy
    assert "http" not in policy
    hashes = [one for one in allowed["style-src"] if one != "'self'"]
    assert all(one.startswith("'sha256-") for one in hashes)
    assert path == "/redoc" or policy == POLICY


@pytest.mark.parametrize("prefix", ["", "/heed", "/a/b"])
@pytest.mark.parametrize("path", PAGES)
def test_what_a_page_names_is_there(client: Client, path: str, prefix: str) -> None:
    """Also behind a proxy that takes a prefix off: addresses are relative, no script or style is in the page."""
    references = References(client.get(path).text)

    assert references.inline == []
    for reference in references.found:
        if reference.startswith(("data:", "#")):
            continue
        met = urlsplit(urljoin(f"https://example.org{prefix}{path}", reference))
        assert not urlsplit(reference).netloc
        assert met.path.startswith(f"{prefix}/")
        assert client.get(met.path.removeprefix(prefix)).status_code == 200, reference


def test_scripts_ask_this_service_alone() -> None:
    """No script of ours has another host's address in it, nor an address from the root."""
    for script in (*FOLDER.glob("*.js"), *DOCUMENTATION.glob("*.js")):
        text = script.read_text().replace("http://www.w3.org/", "")

        assert "://" not in text.replace("http://…", ""), script
        for quote in "\"'`":
            assert f"fetch({quote}/" not in text, script


@pytest.mark.parametrize("path", [*PAGES, "/web/docs.js", "/web/vega.js", "/openapi.json"])
def test_a_page_asks_for_a_key_where_it_is_not_open(closed: Client, path: str) -> None:
    """And its files with it."""
    problem(closed.get(path), 401, "unauthorized")
    assert closed.get(path, headers={"X-API-Key": KEY}).status_code == 200


@pytest.mark.parametrize(
    ("opened", "open_paths"),
    [("page", ("/", "/web/vega.js")), ("docs", ("/docs", "/redoc", "/web/swagger-ui.css", "/openapi.json"))],
)
def test_pages_are_opened_each_for_itself(repository: Path, opened: str, open_paths: tuple[str, ...]) -> None:
    """By the setting; the others stay closed."""
    settings = Settings(model_repository=repository, api_keys=SecretStr(KEY), open_paths=frozenset({opened}))  # type: ignore[arg-type]  # of two words
    with running(settings, is_loaded=False) as service:
        for path in ("/", "/docs", "/redoc", "/web/vega.js", "/web/swagger-ui.css", "/openapi.json"):
            assert service.get(path).status_code == (200 if path in open_paths else 401), path
        assert service.get("/models").status_code == 401


def test_a_page_keeps_its_state_in_its_address(client: Client) -> None:
    """Whatever it keeps there; the script reads it, not the service."""
    assert client.get("/?task=image&label=3&look=dark").content == client.get("/").content


def test_pages_are_in_no_document_for_clients(client: Client) -> None:
    """Nobody makes a client for them."""
    assert not {"/", "/docs", "/redoc", "/web/{file}"} & client.get("/openapi.json").json()["paths"].keys()
