"""Write what browsers load into service/web/libraries/: Vega, Swagger UI, Redoc, and their licences.

    python -m requirements.browser_libraries

Taken out of packages that are fetched by their hashes and not kept. Needs pip alone, so that an image is built alike.
"""

import importlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LIBRARIES = HERE.parent / "service" / "web" / "libraries"
# Written last: who finds it finds all of them.
COMPLETE = LIBRARIES / ".complete"
LOCK = HERE / "browser_libraries.txt"
VEGA = "vega.js"
# What a script that imports it gets. Vega-Lite's compiler has no name there, and is found by the address that it has
# within vl-convert; nothing is loaded from it.
EXPORTS = """
import {{compile}} from "https://cdn.jsdelivr.net/npm/vega-lite@{vega_lite}.0/+esm.js";
export {{vegaEmbed, compile}};
"""
# Of the package that carries them → as they are served.
CARRIED = {
    "swagger-ui-dist/swagger-ui.css": "swagger-ui.css",
    "swagger-ui-dist/swagger-ui-bundle.js": "swagger-ui-bundle.js",
    "swagger-ui-dist/LICENSE": "swagger-ui.licence.txt",
    "redoc/bundles/redoc.standalone.js": "redoc.standalone.js",
    "redoc/bundles/redoc.standalone.js.LICENSE.txt": "redoc.others.licence.txt",
    "redoc/LICENSE": "redoc.licence.txt",
}
# Redoc shows the mark of its makers from their host; where it is no picture, it shows none.
MARK = (b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"data:,")
# A browser that has its tools open would ask for it, and it is not served.
SOURCE_MAP = re.compile(rb"\s*(//# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ ?\*/)\s*$")


def main() -> None:
    """Write all files; whoever has some already gets them anew."""
    COMPLETE.unlink(missing_ok=True)
    LIBRARIES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder))
        carried = Path(folder) / "drf_spectacular_sidecar" / "static" / "drf_spectacular_sidecar"
        for place, name in CARRIED.items():
            content = (carried / place).read_bytes().replace(*MARK)
            (LIBRARIES / name).write_bytes(SOURCE_MAP.sub(b"\n", content))
        (LIBRARIES / VEGA).write_text(vega(Path(folder)), encoding="utf-8")
    (LIBRARIES / "vega.licence.txt").write_bytes((HERE / "vega.licence.txt").read_bytes())
    COMPLETE.touch()
    print(f"Wrote {', '.join(sorted(one.name for one in LIBRARIES.glob('*.*s')))} into {LIBRARIES}")


def install(folder: Path) -> None:
    """The packages of the lock file into a folder, without what they depend on."""
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(LOCK)]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*command, *options, "--target", str(folder)], check=True)


def vega(folder: Path) -> str:
    """Vega, Vega-Lite and vega-embed as one module, of the version that SVG and PNG are drawn with."""
    sys.path.insert(0, str(folder))
    version = vega_lite()
    exports = EXPORTS.format(vega_lite=version)
    bundle: str = importlib.import_module("vl_convert").javascript_bundle(exports, vl_version=version)
    return bundle


def vega_lite() -> str:
    """The version, as it stands in the source: to import that would need what is not there when an image is built."""
    stated = re.search(r'^VEGA_LITE = "([\d.]+)"$', (HERE.parent / "models" / "rendering.py").read_text(), re.MULTILINE)
    assert stated is not None, "models/rendering.py states VEGA_LITE"
    return stated[1]


if __name__ == "__main__":
    main()
