"""The page on the contract: its example, and its way to serve a network of one's own."""

import subprocess
import sys
from pathlib import Path

import onnx

from models.contract import Contract
from service.settings import Settings
from tests.docs.blocks import blocks_of
from tests.export.quick import ROOT
from tests.service.client import running

EXAMPLE, SCRIPT, COMMANDS = (block.text for block in blocks_of(ROOT / "docs" / "contract.md"))


def test_the_example_is_a_contract() -> None:
    """As the service reads it."""
    contract = Contract.model_validate_json(EXAMPLE)

    assert contract.axes_of_outputs["contributions"] == ("batch", "class", "time")


def test_a_file_with_the_example_is_served(tmp_path: Path, published_series: Path) -> None:
    """A graph without a contract, given the page's own as the page says."""
    graph = onnx.load(published_series / "model.onnx")
    del graph.metadata_props[:]
    onnx.save(graph, tmp_path / "mine.onnx")
    (tmp_path / "contract.json").write_text(EXAMPLE)

    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, check=True, timeout=60)
    subprocess.run(["sh", "-euc", COMMANDS], cwd=tmp_path, check=True, timeout=60)

    with running(Settings(model_repository=tmp_path / "model_repository")) as client:
        client.wait_until_loaded("mine")
        answer = client.post("/predict/timeseries?model=mine", json={"sequence": [[1.0, 1.0]] * 10}).json()
    assert answer["model"] == {"name": "mine", "version": "1", "task": "timeseries"}
