"""The documents are finished, and what they point at is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(path.name for path in ROOT.glob("*.md"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_place_is_left_open_and_every_link_leads_somewhere(name: str) -> None:
    """No placeholder; every relative link is a file of the project."""
    text = (ROOT / name).read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)

    missing = [link for link in links if not link.startswith("http") and not (ROOT / link).is_file()]

    assert "@@" not in text
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_command_in_a_document_is_a_target(name: str) -> None:
    """In code, `make x` is something that can be typed."""
    text = (ROOT / name).read_text()
    code = re.findall(r"`([^`\n]+)`|^    (.+)$", text, re.MULTILINE)

    named = {target for parts in code for part in parts for target in re.findall(r"\bmake ([a-z-]+)", part)}

    assert named <= TARGETS


def test_help_lists_the_targets() -> None:
    """`make help` is where a newcomer looks."""
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for target in ("serve", "export", "test", "check", "bench", "staging", "clean", "help"):
        assert f"make {target} " in told


@pytest.mark.parametrize("place", ["models", "export", "service"])
def test_architecture_names_every_source_file(place: str) -> None:
    """What is not in the table is not found by a newcomer."""
    text = (ROOT / "ARCHITECTURE.md").read_text().replace("\\_", "_")

    files = [path.name for path in (ROOT / place).glob("*.py") if path.name != "__init__.py"]

    assert [name for name in files if not re.search(rf"(?<![a-z_]){re.escape(name)}", text)] == []
