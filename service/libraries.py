"""The libraries that browsers load: written by a script, not kept in git, looked for at the start."""

from pathlib import Path

FOLDER_NAME = "libraries"
LIBRARIES = Path(__file__).parent / "web" / FOLDER_NAME
OF_THE_PAGE = ("vega.js", "vega.licence.txt")
NEEDED = ("redoc.standalone.js", "swagger-ui-bundle.js", "swagger-ui.css", "vega.js")
HOW_TO_WRITE_THEM = "make libraries, or python -m requirements.browser_libraries"


def missing_libraries(folder: Path = LIBRARIES) -> list[str]:
    """Those that the pages need and that are not there."""
    return [name for name in NEEDED if not (folder / name).is_file()]
