"""The service on every kind of model, and a browser that visits its page."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.page.models import fill
from tests.page.visit import Visit
from tests.service.processes import greeting, port_of, process

DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=360, height=740)
MOST_BODY_BYTES = 400_000

Visiting = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that no test changes."""
    folder = tmp_path_factory.mktemp("model_repository")
    fill(folder)
    return folder


@contextmanager
def serving(repository: Path, **settings: str) -> Iterator[str]:
    """The service, and its address."""
    with process(repository, **settings) as started:
        yield f"http://127.0.0.1:{port_of(greeting(started, 1))}"


@pytest.fixture(scope="session")
def address(repository: Path) -> Iterator[str]:
    """Of a service with two workers."""
    settings = {"HEED_WORKERS": "2", "HEED_MODEL_CONTROL": "explicit", "HEED_MAX_BODY_BYTES": str(MOST_BODY_BYTES)}
    with serving(repository, **settings, HEED_LOG_LEVEL="warning") as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with sync_playwright() as playwright:
        # Everything that it opens is ours: the sandbox, which root cannot have, guards against strangers' pages.
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def visiting(browser: Browser) -> Visiting:
    """`visiting(address)`: a visit that must end without a fault."""

    @contextmanager
    def visit(address: str, is_phone: bool = False) -> Iterator[Visit]:
        context = browser.new_context(
            viewport=PHONE if is_phone else DESKTOP,
            has_touch=is_phone,
            is_mobile=is_phone,
            permissions=["clipboard-read", "clipboard-write"],
        )
        try:
            visited = Visit(context.new_page(), address)
            yield visited
            assert visited.faults == []
        finally:
            context.close()

    return visit


@pytest.fixture
def visit(visiting: Visiting, address: str) -> Iterator[Visit]:
    """At a desk."""
    with visiting(address) as visit:
        yield visit


@pytest.fixture
def phone(visiting: Visiting, address: str) -> Iterator[Visit]:
    """On a phone."""
    with visiting(address, is_phone=True) as visit:
        yield visit
