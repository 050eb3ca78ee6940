#!/usr/bin/env python3
"""Every link within the built site leads somewhere, and no page loads anything from another host."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself when it shows a page, and where forms go. An anchor's href it fetches when somebody
# clicks.
LOADED = {"src", "srcset", "poster", "data", "action", "formaction", "background"}
IN_STYLES = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
LIST = "external-links.txt"


@dataclass
class Page(HTMLParser):
    """What one page loads, where its links lead, and the places within it that a link may name."""

    loaded: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for each element."""
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name == "href" and value:
                (self.links if tag == "a" else self.loaded).append(value)
            elif name == "srcset" and value:
                self.loaded += [one.split()[0] for one in value.split(",")]
            elif name in LOADED and value:
                self.loaded.append(value)
            elif name == "style" and value:
                self.loaded += loaded_by_style(value)


def loaded_by_style(text: str) -> list[str]:
    """What a style sheet, or an attribute, loads."""
    return [first or second for first, second in IN_STYLES.findall(text)]


def is_of_another_host(address: str) -> bool:
    """Whether a browser would ask another host for it. `data:` is in the page itself."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in {"http", "https", "ftp", "ws", "wss"}


def read_pages(site: Path) -> dict[Path, Page]:
    """Every page of the site, read."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        text = path.read_text()
        pages[path.resolve()] = page = Page()
        page.feed(text)
        page.loaded += loaded_by_style("".join(re.findall(r"<style.*?</style>", text, re.DOTALL)))
    return pages


def complaints(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    """One line for each link that leads nowhere and each thing that another host would be asked for."""
    for path, page in pages.items():
        for address in page.loaded:
            yield from _complaint(site, path, address, pages, is_loaded=True)
        for address in page.links:
            yield from _complaint(site, path, address, pages, is_loaded=False)
    for path in sorted(site.rglob("*.css")):
        for address in loaded_by_style(path.read_text()):
            yield from _complaint(site, path.resolve(), address, pages, is_loaded=True)


def _complaint(site: Path, path: Path, address: str, pages: dict[Path, Page], *, is_loaded: bool) -> Iterator[str]:
    here = path.relative_to(site.resolve())
    parts = urlsplit(address)
    if is_of_another_host(address):
        if is_loaded:
            yield f"{here}: loads {address} from another host"
        return
    if parts.scheme:  # data:, mailto:
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        yield f"{here}: there is no {address}"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
        yield f"{here}: nothing in {target.name} is called #{parts.fragment}"


def main(site: Path) -> int:
    """Complain on stderr; 1 where there was something to complain about. What is elsewhere is listed, and not asked."""
    pages = read_pages(site)
    found = sorted(set(complaints(site, pages)))
    elsewhere = sorted({link for page in pages.values() for link in page.links if is_of_another_host(link)})
    (site / LIST).write_text("".join(f"{link}\n" for link in elsewhere))
    for line in found:
        print(line, file=sys.stderr)
    links = sum(len(page.links) for page in pages.values())
    print(f"{len(pages)} pages, {links} links, {len(found)} wrong; {len(elsewhere)} to other hosts, in {site / LIST}")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
