"""Who may import whom. Every import counts, late ones included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What imports torch, so that whoever imports it has torch too.
NETWORKS = {"models.network", "models.attention_lstm", "models.se_cnn"}

# place → modules that nothing there may import
RULES = {
    "export": {"service"},
    "service": {"export", "torch", "onnx", "lightning", "benchmarks", *NETWORKS},
    "models": {"export", "service", "fastapi", "starlette", "onnx"},
    "models/contract.py": {"torch", *NETWORKS},
    "models/layout.py": {"torch", *NETWORKS},
    "models/answer.py": {"torch", "pydantic", *NETWORKS},
    "models/answer_text.py": {"torch", "pydantic", *NETWORKS},
    "models/entropy.py": {"torch", *NETWORKS},
    "models/grids.py": {"torch", "vl_convert", *NETWORKS},
    "models/pictures.py": {"torch", "numpy", "vl_convert", *NETWORKS},
    "models/panels.py": {"torch", "numpy", "vl_convert", *NETWORKS},
    "models/maps.py": {"torch", "numpy", "vl_convert", *NETWORKS},
    "models/captions.py": {"torch", "vl_convert", *NETWORKS},
    "models/look.py": {"torch", "numpy", "vl_convert", *NETWORKS},
    "models/rendering.py": {"torch", "numpy", *NETWORKS},
}
# module → of these places, the only files that may import it
ONLY = {
    "onnxruntime": (("models", "export", "service"), {"models/onnx_runtime.py"}),
    "models.onnx_runtime": (("models", "export", "service"), {"export/checks.py", "service/session.py"}),
    "PIL": (("service",), {"service/picture.py"}),
    "prometheus_client": (("service",), {"service/series.py"}),
}


def _sources(place: str) -> list[Path]:
    path = ROOT / place
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("place", RULES)
def test_nothing_imports_what_its_place_forbids(place: str) -> None:
    """The two worlds meet in the contract alone: torch never reaches the service, FastAPI never the models."""
    sources = _sources(place)

    broken = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources
        for module in _imports(path)
        if any(_is_within(module, forbidden) for forbidden in RULES[place])
    ]

    assert sources
    assert broken == []


@pytest.mark.parametrize("module", ONLY)
def test_a_library_stays_behind_its_one_file(module: str) -> None:
    """What could be exchanged is imported in one place."""
    places, only = ONLY[module]
    importers = {
        str(path.relative_to(ROOT))
        for place in places
        for path in _sources(place)
        if any(_is_within(name, module) for name in _imports(path))
    }

    assert importers == only


def test_package_files_are_empty() -> None:
    """Opening a folder explains it; an __init__.py hides nothing."""
    full = [str(path) for place in ("models", "export", "service") for path in _sources(place)
            if path.name == "__init__.py" and path.read_text()]  # fmt: skip

    assert full == []


def test_image_has_every_module_that_the_service_imports() -> None:
    """And no other: each of the models' files is copied by its name, so that no network comes with them."""
    needed, looked_at = {"models/__init__.py"}, _sources("service")
    while looked_at:
        names = {f"{name.replace('.', '/')}.py" for name in _imports(looked_at.pop()) if _is_within(name, "models")}
        new = {name for name in names if (ROOT / name).is_file()} - needed
        needed |= new
        looked_at += [ROOT / name for name in new]
    stage = (ROOT / "Dockerfile").read_text().rpartition(" AS service\n")[2]

    copied = {
        file for line in stage.replace("\\\n", "").splitlines() if line.startswith("COPY ") for file in line.split()
    }

    assert {file for file in copied if file.endswith(".py")} == needed
