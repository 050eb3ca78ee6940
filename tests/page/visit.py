"""The page in a browser, watched: what it must never do is noted, whatever a test looks at."""

import json
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request, expect

SCREENSHOTS = Path(__file__).parent / "screenshots"
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]
# Of a thousand cells the first ones speak for the others.
ALIKE = [["#editor tbody tr:nth-child(n+4)"], ["#picture path:nth-child(n+4)"], [".numbers tbody tr:nth-child(n+4)"]]
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
PATIENCE_MS = 20_000

expect.set_options(timeout=PATIENCE_MS)


class Visit:
    """`page` at a service's `address`. `refused`: what the browser may say of answers that were no 200."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.refused: set[str] = set()
        self.faults: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._check_host)

    def open(self, state: str = "") -> None:
        """Open it anew, and wait for the answer."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/{state}")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is asked."""
        expect(self.page.locator("#picture")).to_have_attribute("aria-busy", "false")

    @property
    def answer(self) -> Any:
        """The JSON that is shown."""
        return json.loads(self.page.locator("#json").inner_text())

    def says(self, part: str, text: str) -> None:
        """Wait until this stands in a part of the page."""
        expect(self.page.locator(f"#{part}")).to_contain_text(text)

    def shows(self, body: Any = None, content: bytes | None = None, **asked: str) -> None:
        """Wait until what is shown is what the service answers to this."""
        self.settle()
        task = "timeseries" if body and "sequence" in body else "image"
        given: Any = {"json": body} if body else {"content": content}
        expected = httpx.post(f"{self.address}/predict/{task}", params=asked, timeout=30, **given).json()
        assert self.answer == expected

    def drop(self, content: bytes, name: str, kind: str, target: str = "body") -> None:
        """A file, let go over the page."""
        self.page.evaluate(DROP, [list(content), name, kind, target])

    def paste_text(self, text: str, target: str) -> None:
        """A text, as Ctrl+V brings it."""
        self.page.locator(target).evaluate(PASTE_TEXT, text)

    def paste_file(self, content: bytes, name: str, kind: str) -> None:
        """A file from the clipboard."""
        self.page.evaluate(PASTE_FILE, [list(content), name, kind])

    def looks_right(self, name: str, schemes: tuple[Scheme, ...] = SCHEMES) -> None:
        """Hold the state against the rules of accessibility, in light and in dark, and keep pictures of it."""
        SCREENSHOTS.mkdir(exist_ok=True)
        for scheme in schemes:
            self.page.emulate_media(color_scheme=scheme)
            self.settle()
            self.page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True)
            options = {"runOnly": {"type": "tag", "values": RULES}}
            found = Axe().run(self.page, context={"exclude": ALIKE}, options=options).response
            assert [told(one) for one in found["violations"]] == [], f"{name}, {scheme}"
            assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
        self.page.emulate_media(color_scheme="light")
        self.settle()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(one in message.text for one in self.refused):
            self.faults.append(f"{message.type}: {message.text}")

    def _check_host(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob", "about") and f"{url.scheme}://{url.netloc}" != _origin(self.address):
            self.faults.append(f"asked another host: {request.url}")


def told(violation: Any) -> str:
    """A violation of a rule, as one line."""
    return f"{violation['id']}: {violation['nodes'][0]['html'][:200]} {violation['nodes'][0].get('failureSummary', '')}"


def _origin(address: str) -> str:
    url = urlsplit(address)
    return f"{url.scheme}://{url.netloc}"


DROP = """([bytes, name, type, target]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type }));
  const place = document.querySelector(target);
  for (const kind of ["dragover", "drop"])
    place.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
PASTE_TEXT = """(element, text) => {
  const data = new DataTransfer();
  data.setData("text", text);
  element.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""
PASTE_FILE = """([bytes, name, type]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type }));
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""
