"""One graph: what is refused when it is loaded, and how it runs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models.contract import ContractError
from service.session import GraphError, Session
from tests.service.tiny_models import expected_timeseries, timeseries_model


def test_only_the_outputs_asked_for_are_fetched() -> None:
    """In the order asked for, with the batch axis, equal to NumPy's account."""
    session = Session(timeseries_model())
    rows = np.random.default_rng(0).normal(size=(3, 10, 2)).astype(np.float32)

    tensors = session.run(rows, ["attention", "probabilities"])

    assert list(tensors) == ["attention", "probabilities"]
    for row, weights in zip(rows, tensors["attention"], strict=True):
        np.testing.assert_allclose(weights, expected_timeseries(row)["attention"], rtol=1e-5)


def test_shapes_come_from_the_graph() -> None:
    """A varying dimension is None."""
    session = Session(timeseries_model("time"))

    assert session.row_shape == (None, 2)
    assert session.outputs["attention"].shape == (None, None, 2)
    assert session.dtype == np.float32


@pytest.mark.parametrize("content", [b"", b"nonsense", timeseries_model()[:200]])
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    """With onnxruntime's first line, and no path in it."""
    with pytest.raises(GraphError, match="onnxruntime cannot load the graph") as raised:
        Session(content)

    assert "/" not in str(raised.value).replace("[ONNXRuntimeError] : ", "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ["0", "1", "2"]}, "3 labels"),
        ({"format": 2}, "format"),
        ({"outputs": {"scores": "nope", "logits": "logits"}}, "'nope'"),
        ({"input": {"name": "x", "axes": ["batch", "time", "feature"]}}, "'x'"),
        ({"card": {"accuracy": float("nan")}}, "strict JSON"),
    ],
)
def test_graph_is_held_against_its_contract(changes: dict[str, Any], reason: str) -> None:
    """A contract that does not hold refuses the file, naming the fact."""
    with pytest.raises(ContractError, match=reason):
        Session(timeseries_model(changes=changes))


def test_graph_without_contract_is_refused() -> None:
    """Another program's ONNX file is none of ours."""
    model = onnx.load_from_string(timeseries_model())
    del model.metadata_props[:]

    with pytest.raises(ContractError, match="was not exported by Heed"):
        Session(model.SerializeToString())


def test_graph_that_is_not_finite_is_refused() -> None:
    """The warm-up runs it."""
    with pytest.raises(ContractError, match="not finite for an input of zeros"):
        Session(timeseries_model(weights=np.array([np.nan, 1], np.float32)))


def test_graph_that_cannot_run_is_refused() -> None:
    """What breaks only when it runs is found before any request."""
    model = onnx.load_from_string(timeseries_model("time"))
    model.graph.node.append(helper.make_node("Reshape", ["sequence", "seven"], ["unused"]))
    model.graph.initializer.append(helper.make_tensor("seven", TensorProto.INT64, [2], [7, 7]))
    model.graph.node.append(helper.make_node("ReduceSum", ["unused"], ["total"], keepdims=0))
    model.graph.node.append(helper.make_node("Add", ["logit", "total"], ["logit_more"]))
    next(node for node in model.graph.node if node.output[0] == "logits").input[0] = "logit_more"
    nodes = sorted(model.graph.node, key=lambda node: node.output[0] in ("logits", "probabilities"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)

    with pytest.raises(GraphError, match="cannot run the graph"):
        Session(model.SerializeToString())


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/hostname"])
def test_weights_outside_the_file_are_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """A graph cannot make the service read files, not even of its working directory, nor tell where that is."""
    (tmp_path / "inner").mkdir()
    for folder in (tmp_path, tmp_path / "inner"):
        (folder / "weights.bin").write_bytes(bytes(64))
    weights = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "0", "length": "64"}.items():
        weights.external_data.add(key=key, value=value)
    taken = helper.make_tensor_value_info("rows", TensorProto.INT64, ["batch"])
    given = helper.make_tensor_value_info("values", TensorProto.FLOAT, ["batch", 4])
    node = helper.make_node("Gather", ["weights", "rows"], ["values"])
    graph = helper.make_graph([node], "reader", [taken], [given], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    monkeypatch.chdir(tmp_path / "inner")

    with pytest.raises(GraphError, match="cannot load the graph") as raised:
        Session(model.SerializeToString())

    assert str(tmp_path) not in str(raised.value)
