"""/web/…: what browsers load, who may, and what they need not load again."""

import gzip
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from service.api_keys import ApiKeys
from service.exchange import Exchange
from service.libraries import LIBRARIES, NEEDED, missing_libraries
from service.problems import PathNotFound, Unauthorized
from service.routing import Head, Received
from service.static_file import MEDIA_TYPES, StaticFile
from service.static_files import DOCUMENTATION, FOLDER, StaticFiles, static_files
from tests.service.client import Client, problem

PAGE, DOCS = ApiKeys(["a-key-of-the-page"]), ApiKeys(["a-key-of-the-docs"])
SCRIPT = "/web/docs.js"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as the service's own is, with one file of each kind in it."""
    for name in (
        "page.js",
        "index.html",
        "notes.md",
        "documentation/docs.css",
        "libraries/vega.js",
        "libraries/redoc.js",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"/* {name} */")
    return tmp_path


def test_every_file_is_given(client: Client) -> None:
    """Those written by hand and the libraries, each with the type that browsers ask to be told; pages have others."""
    folders = (FOLDER, DOCUMENTATION, LIBRARIES)
    paths = [path for folder in folders for path in folder.iterdir() if path.suffix in MEDIA_TYPES]
    for path in paths:
        response = client.get(f"/web/{path.name}")
        if path.suffix == ".html":
            problem(response, 404, "not-found")
            continue

        assert response.content == path.read_bytes()
        assert response.headers["content-type"].partition(";")[0] == MEDIA_TYPES[path.suffix]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_what_a_browser_has_is_not_sent_again(client: Client) -> None:
    """By the tag, however a proxy or a list has it; HEAD is told alike. A tag of other bytes gets the file."""
    whole = client.get(SCRIPT, headers={"Accept-Encoding": "identity"})
    tag = whole.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        for method in ("GET", "HEAD"):
            headers = {"Accept-Encoding": "identity", "If-None-Match": known}
            again = client.request(method, SCRIPT, headers=headers)

            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tag
            assert "content-length" not in again.headers
    other = client.get(SCRIPT, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5", "*", "br, GZIP"])
def test_compressed_where_that_is_taken(client: Client, accepted: str) -> None:
    """With a tag of its own: caches between hold both."""
    plain = client.get(SCRIPT, headers={"Accept-Encoding": "identity"})
    compressed = client.get(SCRIPT, headers={"Accept-Encoding": accepted})
    again = client.get(SCRIPT, headers={"Accept-Encoding": accepted, "If-None-Match": compressed.headers["etag"]})

    assert compressed.headers["content-encoding"] == "gzip"
    assert int(compressed.headers["content-length"]) < len(plain.content)
    assert compressed.content == plain.content
    assert "accept-encoding" in compressed.headers["vary"].lower()
    assert compressed.headers["etag"] != plain.headers["etag"]
    assert again.status_code == 304


@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "*;q=0"])
def test_whole_where_nothing_else_is_taken(client: Client, accepted: str) -> None:
    """An empty header takes nothing but the bytes as they are."""
    response = client.get(SCRIPT, headers={"Accept-Encoding": accepted})

    assert "content-encoding" not in response.headers
    assert response.content == (DOCUMENTATION / "docs.js").read_bytes()


async def answered(file: StaticFile) -> bytes:
    """A file, for who takes it compressed."""
    return (await file.answer(Headers({"accept-encoding": "gzip"}))).body


def test_pictures_are_not_compressed_again(client: Client, tmp_path: Path) -> None:
    """They are already."""
    picture, script = tmp_path / "one.png", tmp_path / "one.js"
    for path in (picture, script):
        path.write_bytes(b"x" * 1000)

    assert client.portal.call(answered, StaticFile(picture)) == b"x" * 1000
    assert gzip.decompress(client.portal.call(answered, StaticFile(script))) == b"x" * 1000


@pytest.mark.parametrize(
    "name", ["nope.js", "%2e%2e%2fpage.py", "..%2f..%2fsettings.py", "page.py", ".complete", "docs.html", "%00"]
)
def test_nothing_else_is_there(client: Client, name: str) -> None:
    """Whatever the path: only names that were listed at the start are known."""
    problem(client.get(f"/web/{name}"), 404, "not-found")


def test_other_requests_are_refused_as_elsewhere(client: Client) -> None:
    """A media type that the file has not, a parameter, a method."""
    problem(client.get(SCRIPT, headers={"Accept": "text/css"}), 406, "not-acceptable")
    problem(client.get(SCRIPT, headers={"Accept": "application/json"}), 406, "not-acceptable")
    problem(client.get(f"{SCRIPT}?v=1"), 422, "invalid-input")
    problem(client.post(SCRIPT), 405, "method-not-allowed")
    assert client.get(SCRIPT, headers={"Accept": "text/css,*/*;q=0.1"}).status_code == 200


def test_files_are_counted_together(client: Client) -> None:
    """One series for all of them, whatever name is asked for."""
    for name in ("docs.js", "no-such-file-is-counted"):
        client.get(f"/web/{name}")

    counted = client.get("/metrics").text
    assert 'route="/web/{file}"' in counted
    assert "no-such-file-is-counted" not in counted


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("page.js", "a-key-of-the-page"),
        ("vega.js", "a-key-of-the-page"),
        ("docs.css", "a-key-of-the-docs"),
        ("redoc.js", "a-key-of-the-docs"),
    ],
)
def test_a_file_opens_with_the_page_that_loads_it(client: Client, folder: Path, name: str, key: str) -> None:
    """So that the documentation can be open where the page is not, and the other way round."""
    files = static_files(PAGE, DOCS, folder)

    for headers in ({}, {"X-API-Key": "a-key-of-the-page,a-key-of-the-docs"}):
        with pytest.raises(Unauthorized):
            client.portal.call(given, files, name, headers)
    assert client.portal.call(given, files, name, {"X-API-Key": key})
    assert files.files.keys() == {"page.js", "docs.css", "vega.js", "redoc.js"}


async def given(files: StaticFiles, name: str, headers: dict[str, str]) -> bytes:
    """A file by its name, asked for with these headers."""
    head = Head(Headers(headers).raw, content_type="", media_type="", arguments={}, seconds=0)
    return (await files.give(name, Received(head, b"", Exchange()))).body


def test_a_missing_library_is_told_with_the_command(client: Client, tmp_path: Path) -> None:
    """The service answers without them; who sees an empty page finds out why."""
    (tmp_path / "page.js").write_text("")

    with pytest.raises(PathNotFound, match="make libraries"):
        client.portal.call(given, static_files(PAGE, DOCS, tmp_path), "vega.js", {})
    assert missing_libraries(tmp_path) == list(NEEDED)
