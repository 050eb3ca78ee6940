"""A file that is not what it should be is found out, and the message says by what."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from export import checks, onnx_file
from export.contracts import contract_of
from export.errors import CheckError
from export.recipes import Recipe
from models.attention_lstm import AttentionLSTMSizes
from models.contract import METADATA_KEY, Contract, ContractError
from models.se_cnn import GATES, SECNNSizes
from tests.export.quick import quick_image, quick_series


class Written:
    """A network and, once it is written, its file."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        lightning.seed_everything(1, verbose=False)
        self.network = recipe.network().eval()
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):  # statistics as training leaves them, not 0 and 1
                assert module.running_mean is not None
                assert module.running_var is not None
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
                nn.init.uniform_(module.running_var, 0.5, 2)
        self.inputs = recipe.data.held_out().inputs
        self.path = folder / "model.onnx"
        self.contract = contract_of(recipe, "none", {})

    def write(self) -> None:
        """In a process of its own, as always."""
        onnx_file.write(self.network, self.contract, self.inputs[0], self.path)

    def changed(self, path: Path, **members: object) -> Path:
        """A copy whose contract says something else."""
        model = onnx.load(self.path)
        document = self.contract.model_dump() | members
        model.metadata_props[0].value = Contract.model_construct(**document).model_dump_json(warnings=False)
        onnx.save(model, path)
        return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """An untrained network of each kind. Each spends seconds on the exporter's start: all write at once."""
    series = quick_series()
    data = replace(series.data, time_steps=7, features=3)  # type: ignore[type-var]
    recipes = {"series": replace(series, data=data, sizes=AttentionLSTMSizes(time_steps=7, features=3))}
    for gate in GATES:
        recipes[gate] = replace(quick_image(), sizes=SECNNSizes(gate=gate))
    networks = {name: Written(recipe, tmp_path_factory.mktemp(name)) for name, recipe in recipes.items()}
    with ThreadPoolExecutor() as pool:
        list(pool.map(Written.write, networks.values()))
    return networks


@pytest.fixture
def series(written: dict[str, Written]) -> Written:
    """An attention-LSTM of other than the default sizes."""
    return written["series"]


@pytest.fixture(params=GATES)
def pictures(written: dict[str, Written], request: pytest.FixtureRequest) -> Written:
    """An SE-CNN with either gate."""
    return written[request.param]


def _run(path: Path, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: rows}), strict=True))


@pytest.mark.parametrize("batch", [1, 2, 5, 32, 77])
def test_onnxruntime_agrees_with_torch(series: Written, batch: int) -> None:
    """Every output, every batch size, also one that export itself does not try."""
    rows = series.inputs[:batch]
    with torch.inference_mode():
        expected = series.network(torch.from_numpy(rows))

    outputs = _run(series.path, rows)

    for name, values in {**expected._asdict(), **expected.attention}.items():
        if name != "attention" or not isinstance(values, dict):
            np.testing.assert_allclose(outputs[name], values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_pictures_agree_with_torch_for_both_gates(pictures: Written, batch: int) -> None:
    """Bytes in, the same gates, contributions and probabilities out."""
    rows = pictures.inputs[:batch]
    with torch.inference_mode():
        expected = pictures.network(torch.from_numpy(rows))

    outputs = _run(pictures.path, rows)

    for name, values in {
        "logits": expected.logits,
        "contributions": expected.contributions,
        **expected.attention,
    }.items():
        np.testing.assert_allclose(outputs[name], values, rtol=1e-4, atol=1e-5)
    total = outputs["bias"] + outputs["contributions"].sum(axis=(2, 3))
    np.testing.assert_allclose(total, outputs["logits"], rtol=1e-4, atol=1e-5)


def test_sound_files_pass_and_operators_are_recorded(series: Written, pictures: Written) -> None:
    """What was measured comes back for the report."""
    for written in (series, pictures):
        details = checks.check(written.path, written.network, written.inputs[:32])

        assert set(details["largest_difference_from_torch"]) == {1, 2, 5, 32}
        operators = details["operators"]
        assert isinstance(operators, dict)
        assert sum(operators["with_attention"].values()) > sum(operators["scores_alone"].values()) > 0


def test_the_file_says_nothing_of_the_machine_that_made_it(series: Written, pictures: Written) -> None:
    """No stack trace, no path of a source file."""
    for written in (series, pictures):
        content = written.path.read_bytes()
        assert b".py" not in content
        assert str(Path(__file__).parent.parent.parent).encode() not in content


def test_the_graph_is_opset_18_with_its_documented_names(series: Written) -> None:
    """Clients of the graph rely on these names; TensorRT on the opset."""
    model = onnx.load(series.path)

    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert [entry.name for entry in model.graph.input] == ["sequence"]
    assert [entry.name for entry in model.graph.output] == [
        "probabilities",
        "logits",
        "attention",
        "contributions",
        "bias",
    ]
    assert [entry.key for entry in model.metadata_props] == [METADATA_KEY]


def test_other_weights_in_the_file_are_found(series: Written, tmp_path: Path) -> None:
    """Parity: the file of another network does not pass."""
    model = onnx.load(series.path)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("head_weight"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 0.01, tensor.name))
    onnx.save(model, tmp_path / "model.onnx")

    with pytest.raises(CheckError, match=r"batch of 1: '.*' differs from torch by up to"):
        checks.check(tmp_path / "model.onnx", series.network, series.inputs[:32])


def test_a_range_that_is_left_is_found(pictures: Written, tmp_path: Path) -> None:
    """The stated range is held against real gates."""
    entry = pictures.contract.attention[0].model_copy(update={"range": (0.9, 1.0)})
    path = pictures.changed(tmp_path / "model.onnx", attention=(entry,))

    with pytest.raises(CheckError, match=r"'gates_2' goes from .* its contract says 0.9 to 1.0"):
        checks.check(path, pictures.network, pictures.inputs[:32])


def test_weights_that_do_not_sum_to_one_are_found(series: Written, tmp_path: Path) -> None:
    """Compared absolutely: less than one counts as well as more."""
    entry = series.contract.attention[0].model_copy(update={"sums_to_one_over": "unit"})
    path = series.changed(tmp_path / "model.onnx", attention=(entry,))

    with pytest.raises(CheckError, match="sums over unit"):
        checks.check(path, series.network, series.inputs[:32])


def test_contributions_that_do_not_add_up_are_found(series: Written, tmp_path: Path) -> None:
    """The bias that the contract names has to be the one that is missing from the sum."""
    part = series.contract.contributions
    assert part is not None
    path = series.changed(tmp_path / "model.onnx", contributions=part.model_copy(update={"bias": "logits"}))

    with pytest.raises(CheckError, match="miss 'logits' by"):
        checks.check(path, series.network, series.inputs[:32])


def test_a_contract_that_the_graph_does_not_keep_is_found(series: Written, tmp_path: Path) -> None:
    """Three labels for two scores."""
    path = series.changed(tmp_path / "model.onnx", labels=("a", "b", "c"))

    with pytest.raises(ContractError, match="2 wide, the contract has 3 labels"):
        checks.check(path, series.network, series.inputs[:32])


def test_a_truncated_file_does_not_pass(series: Written, tmp_path: Path) -> None:
    """Whatever onnxruntime calls it, it is not published."""
    path = tmp_path / "model.onnx"
    shutil.copy(series.path, path)
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(Exception, match=r"INVALID_PROTOBUF|Protobuf|parsing"):
        checks.check(path, series.network, series.inputs[:32])
