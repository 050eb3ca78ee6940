"""What the check of the built site finds, and that it lets a good one be."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.export.quick import ROOT

GOOD = """<html><head><link rel="stylesheet" href="look.css"></head><body><h1 id="top">Heed</h1>
<a href="#top">up</a> <a href="other.html#end">on</a> <a href="https://example.org/">elsewhere</a>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" style="background: url(look.css)"></body></html>"""
BAD = {
    '<a href="gone.html">': "there is no gone.html",
    '<a href="other.html#gone">': "#gone",
    '<a href="#gone">': "#gone",
    '<img src="gone.png">': "there is no gone.png",
    '<script src="https://example.org/a.js"></script>': "from another host",
    '<script src="//example.org/a.js"></script>': "from another host",
    '<link rel="stylesheet" href="https://example.org/a.css">': "from another host",
    '<img srcset="look.css 1x, https://example.org/a.png 2x">': "from another host",
    '<p style="background: url(https://example.org/c.png)">': "from another host",
    "<style>@import 'https://example.org/d.css';</style>": "from another host",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two pages and a style sheet."""
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "other.html").write_text('<p id="end">The end</p>')
    (tmp_path / "look.css").write_text("p { color: black; }")
    return tmp_path


def _check(site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs" / "check_site.py"), str(site)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_good_site_passes_and_links_to_other_hosts_are_listed(site: Path) -> None:
    """Nobody asks the other hosts."""
    done = _check(site)

    assert (done.returncode, done.stderr) == (0, "")
    assert (site / "external-links.txt").read_text() == "https://example.org/\n"


def test_whatever_is_wrong_is_named(site: Path) -> None:
    """Each in a line with its page."""
    (site / "bad.html").write_text("".join(BAD))
    (site / "bad.css").write_text("@import url('https://example.org/b.css');")

    done = _check(site)

    assert done.returncode == 1
    assert "bad.css: loads https://example.org/b.css from another host" in done.stderr
    for said in BAD.values():
        assert said in done.stderr
    assert len(done.stderr.splitlines()) == len(BAD) + 1


def test_a_folder_without_pages_is_no_site(tmp_path: Path) -> None:
    """Nothing checked is not passed."""
    assert _check(tmp_path).returncode == 1
