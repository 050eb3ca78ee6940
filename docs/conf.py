"""How the site is made: the project's Markdown where it lies, so that a link works here and in the repository."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent

project = "Heed"
author = "the authors of Heed"
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "benchmarks/*.md", "tests/clients/RESULTS.md"]
exclude_patterns = [".*", "build", "model_repository", "runs", "site"]  # they are not even searched
myst_heading_anchors = 3  # the headings that a link may name, as in operating.md#keys
nitpicky = True

html_theme = "furo"
html_title = f"Heed {release}"
html_static_path = ["static"]
html_css_files = ["heed.css"]
templates_path = ["templates"]
html_additional_pages = {"index": "to_the_first_page.html"}
html_copy_source = False
html_show_copyright = False
copybutton_selector = "div.highlight-sh pre, div.highlight-python pre, div.highlight-nginx pre, div.highlight-yaml pre"
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# Only `make docs-links` asks other hosts.
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost|example\.org)([:/]|$)"]
