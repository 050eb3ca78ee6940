"""Where the page stands: behind a proxy that gives it a path, on light or dark ground, in a wide or narrow window."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.page.conftest import Visiting, serving
from tests.page.test_telling import answered, copied
from tests.page.visit import Visit

PREFIX = "/heed"


class Stripping(BaseHTTPRequestHandler):
    """Hands on what is asked below /heed, without that."""

    behind = ""

    def do_GET(self) -> None:
        """Also what is sent with a body."""
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        url = self.behind + self.path.removeprefix(PREFIX)
        got = httpx.request(self.command, url, content=body or None, headers=headers, timeout=30)
        self.send_response(got.status_code)
        for name, value in got.headers.items():
            if name not in ("content-length", "content-encoding", "connection", "date", "server", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(got.content)))
        self.end_headers()
        self.wfile.write(got.content)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def proxied(repository: Path) -> Iterator[str]:
    """The address of the proxy, with the path."""
    with serving(repository, HEED_ROOT_PATH=PREFIX) as address:
        handler = type("Proxy", (Stripping,), {"behind": address})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
            server.shutdown()


def test_the_page_works_below_a_path(visiting: Visiting, proxied: str, tmp_path: Path) -> None:
    """All that it loads and asks is below it, and the curl line too."""
    with visiting(proxied) as visit:
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.open("#model=any_length")

        visit.says("said", "Predicted")
        visit.says("curl", f"{proxied}/predict/timeseries?model=any_length")
        assert answered(copied(visit, "Copy the curl line"), tmp_path) == visit.answer
        assert [url for url in asked if not url.startswith((f"{proxied}/", "data:", "about:"))] == []


def test_dark_and_light_are_followed_while_the_page_is_open(visit: Visit) -> None:
    """By the page and by the picture."""
    visit.open("#model=any_length")
    svg = visit.page.locator("#picture svg")

    visit.page.emulate_media(color_scheme="dark")
    expect(visit.page.locator("body")).to_have_css("background-color", "rgb(22, 25, 29)")
    expect(svg).to_have_css("background-color", "rgb(22, 25, 29)")
    visit.page.emulate_media(color_scheme="light")
    expect(svg).to_have_css("background-color", "rgb(255, 255, 255)")


def test_the_picture_takes_the_width_that_there_is(visit: Visit) -> None:
    """Also when it changes."""
    visit.open("#model=any_length")

    for width in (360, 700, 1600):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.page.wait_for_function("""() => {
          const figure = document.querySelector("#picture");
          // Its margin hangs over at both sides.
          return Math.abs(figure.querySelector("svg").getBoundingClientRect().width - figure.clientWidth - 32) < 8;
        }""")
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
