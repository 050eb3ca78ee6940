"""The libraries that browsers load: whole, of the versions that are meant, and told of where they are missing."""

import json
import shutil
from pathlib import Path

from models.rendering import VEGA_LITE
from requirements.browser_libraries import vega_lite
from service.libraries import LIBRARIES, NEEDED, missing_libraries
from tests.service.processes import ROOT, finished, greeting, port_of, process_in
from tests.service.wire import get


def test_libraries_are_there() -> None:
    """`make test` has written them, each with its licence."""
    assert missing_libraries() == []
    for name in ("vega", "swagger-ui", "redoc"):
        assert "Copyright" in (LIBRARIES / f"{name}.licence.txt").read_text()


def test_vega_is_a_module_of_the_version_that_pictures_are_drawn_with() -> None:
    """What the page shows and what is answered as SVG is drawn alike; scripts import it by name."""
    script = (LIBRARIES / "vega.js").read_text()

    assert vega_lite() == VEGA_LITE
    assert f'"{VEGA_LITE}.' in script
    assert " as vegaEmbed" in script[-100:]


def test_no_library_names_what_it_should_not_load() -> None:
    """Redoc's mark came from its makers' host, and maps of the sources would be looked for and not found."""
    for name in NEEDED:
        content = (LIBRARIES / name).read_text()

        assert "cdn." not in content
        assert "sourceMappingURL=" not in content[-200:]


def test_where_they_are_missing_the_service_answers_and_says_so(one_model: Path, tmp_path: Path) -> None:
    """One line in the log, not one from each worker, with the command that writes them; the file itself says it too."""
    left_out = shutil.ignore_patterns("libraries", "__pycache__")
    for folder in ("service", "models"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=left_out)
    with process_in(tmp_path, one_model, HEED_WORKERS="2") as started:
        port = port_of(greeting(started, 1))
        page, library = get(port, "/"), get(port, "/web/vega.js")
        started.terminate()
        _, _, err = finished(started)

    told = [event for event in map(json.loads, err.splitlines()) if event["event"] == "libraries are missing"]
    assert [(one["level"], one["names"]) for one in told] == [("warning", list(NEEDED))]
    assert "make libraries" in told[0]["detail"]
    assert page[0] == 200
    assert library[0] == 404
    assert b"make libraries" in library[1]
