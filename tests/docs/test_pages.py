"""The pages in docs/ say what is so: settings, routes, problems, links, make targets, figures."""

import json
import re
from pathlib import Path

import pytest

from service.problems import ServingError
from service.settings import PREFIX, Settings
from tests.docs.blocks import blocks_of
from tests.export.quick import ROOT
from tests.service.client import running

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
# What the comparison's tables say of a server beside its name.
NOTES = re.compile(r"`|, access log off( as the others)?|, which checks nothing")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    """As they are read in the repository; `make docs` checks the headings that they name too."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())

    missing = [link for link in links if not link.startswith("http") and not (DOCS / link).is_file()]

    assert missing == []


@every_page
def test_every_make_command_of_a_page_is_a_target(page: Path) -> None:
    """In code, `make x` is something that can be typed."""
    code = re.findall(r"`([^`\n]+)`|^    (.+)$", page.read_text(), re.MULTILINE)

    named = {target for parts in code for part in parts for target in re.findall(r"\bmake ([a-z-]+)", part)}

    assert named <= TARGETS


@every_page
def test_every_json_of_a_page_is_json(page: Path) -> None:
    """What is shown can be read by a program, with `…` for what was cut."""
    for block in blocks_of(page):
        if block.language == "json":
            decoder, rest = json.JSONDecoder(), block.text.lstrip()
            while rest:
                _, end = decoder.raw_decode(rest)
                rest = rest[end:].lstrip()


def test_every_page_is_reached_from_the_first() -> None:
    """The site's table of contents has them all."""
    named = (DOCS / "index.md").read_text()

    assert [page.stem for page in PAGES if page.stem != "index" and f"({page.name})" not in named] == []


def test_the_operating_guide_has_every_setting() -> None:
    """And its tables have none that is not."""
    text = (DOCS / "operating.md").read_text()
    settings = {PREFIX + name.upper() for name in Settings.model_fields}

    first_cells = re.findall(r"^\| (`HEED_.+?) \|", text, re.MULTILINE)

    told = {name for cell in first_cells for name in re.findall("HEED_[A-Z_]+", cell)}

    assert told == settings


def test_the_operating_guides_defaults_are_the_services() -> None:
    """Numbers and words alike."""
    text = (DOCS / "operating.md").read_text()
    rows = dict(reversed(re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \| (.+?) \|", text, re.MULTILINE)))  # the first counts

    for name in ("PORT", "MODEL_REPOSITORY", "MODEL_CONTROL", "MAX_QUEUE_SIZE", "MAX_BATCH_SIZE", "REQUEST_TIMEOUT_MS"):
        default = Settings.model_fields[name.lower()].default

        assert rows[name].replace(",", "").strip("`") == str(default)


def test_the_reference_has_every_route_and_parameter(tmp_path: Path) -> None:
    """All that the service's own description has."""
    text = (DOCS / "http.md").read_text()
    with running(Settings(model_repository=tmp_path)) as client:
        paths = client.get("/openapi.json").json()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]

    parameters = {one["name"] for operation in operations for one in operation.get("parameters", [])}
    # `…/ready` stands for the path before it, and this one.
    named = [path for path in paths if f"{path}`" not in text and f"…/{path.rpartition('/')[2]}`" not in text]

    assert [name for name in parameters if f"`{name}" not in text and f"?{name}=" not in text and name != "name"] == []
    assert [path for path in named if not path.startswith("/v2/models/{name}/versions/{version}")] == []


def test_the_reference_has_every_problem() -> None:
    """Clients tell problems apart by these words, each beside its status."""
    rows = re.findall(r"^\| ([0-9, ]+) \| (.+) \|$", (DOCS / "http.md").read_text(), re.MULTILINE)
    pairs = [(statuses.split(","), re.findall(r"`([a-z-]+)`", words)) for statuses, words in rows]

    told = {(int(status), word) for statuses, words in pairs for status in statuses for word in words}

    assert {(kind.status, kind.word) for kind in ServingError.__subclasses__()} <= told


def test_the_comparisons_figures_are_the_measured_ones() -> None:
    """Each stands in RESULTS.md, in the row of the same server."""
    page = (DOCS / "comparison.md").read_text()
    measured = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    rows = re.findall(r"^\| ([^|]+?) \| ([\d, |]+\d) \|$", page, re.MULTILINE)
    assert len(rows) == 11

    for server, figures in rows:
        name = NOTES.sub("", server)
        of_it = re.findall(rf"^\| {re.escape(name)} \| (.+) \|$", measured, re.MULTILINE)

        assert any(_stand_in(figures.split(" | "), row) for row in of_it), f"{server}: {figures}"


def _stand_in(figures: list[str], row: str) -> bool:
    found = re.findall(r"[\d,]*\d", row)
    return all(figure in found for figure in figures)
