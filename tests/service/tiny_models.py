"""Tiny real ONNX models whose arithmetic a test can redo in NumPy, and a repository to put them in."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]
Dimension = int | str

WEIGHTS = np.array([0.5, -0.25], np.float32)


def softmax(values: Floats, axis: int) -> Floats:
    """Softmax over an axis."""
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True), np.float32)


def expected_timeseries(sequence: Floats) -> dict[str, Floats]:
    """NumPy's account of `timeseries_model`, for one series (time, feature)."""
    weighted = sequence * WEIGHTS[: sequence.shape[1]]
    attention = softmax(weighted, 0)
    shares = (attention * weighted).sum(axis=1)
    logit = shares.sum() + np.float32(0.125)
    probability = 1 / (1 + np.exp(-logit))
    return {
        "attention": attention,
        "contributions": shares,
        "logit": logit,
        "probabilities": np.array([1 - probability, probability], np.float32),
    }


def timeseries_model(
    time: Dimension = 10,
    features: int = 2,
    contributions: bool = True,
    changes: dict[str, Any] | None = None,
    weights: Floats = WEIGHTS,
) -> bytes:
    """Attention over time for each feature ("unit"); one sigmoid unit as two labels, as the text's network has it."""
    nodes = [
        helper.make_node("Mul", ["sequence", "weights"], ["weighted"]),
        helper.make_node("Softmax", ["weighted"], ["attention"], axis=1),
        helper.make_node("Mul", ["attention", "weighted"], ["attended"]),
        helper.make_node("ReduceSum", ["attended", "last"], ["shares"], keepdims=0),
        helper.make_node("ReduceSum", ["shares", "last"], ["sum"], keepdims=1),
        helper.make_node("Add", ["sum", "offset"], ["logit"]),
        helper.make_node("Mul", ["logit", "signs"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
        helper.make_node("Mul", ["logit", "zeros"], ["nothing"]),
        helper.make_node("Add", ["nothing", "offsets"], ["bias"]),
        helper.make_node("Unsqueeze", ["shares", "one"], ["rows"]),
        helper.make_node("Mul", ["rows", "sign_column"], ["contributions"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "weights": weights[:features],
        "last": np.array([-1], np.int64),
        "one": np.array([1], np.int64),
        "offset": np.array([0.125], np.float32),
        "offsets": np.array([[-0.125, 0.125]], np.float32),
        "signs": np.array([[-1, 1]], np.float32),
        "zeros": np.zeros((1, 2), np.float32),
        "sign_column": np.array([[[-1], [1]]], np.float32),
    }
    outputs: dict[str, Sequence[Dimension]] = {
        "probabilities": ["batch", 2],
        "logits": ["batch", 2],
        "attention": ["batch", time, features],
        "contributions": ["batch", 2, time],
        "bias": ["batch", 2],
    }
    contract = {
        "format": 1,
        "task": "timeseries",
        "labels": ["0", "1"],
        "input": {"name": "sequence", "axes": ["batch", "time", "feature"]},
        "outputs": {"scores": "probabilities", "logits": "logits"},
        "attention": [
            {
                "output": "attention",
                "kind": "temporal",
                "axes": ["batch", "time", "unit"],
                "range": [0, 1],
                "sums_to_one_over": "time",
                "average": ["unit"],
            }
        ],
        "contributions": {"output": "contributions", "axes": ["batch", "class", "time"], "bias": "bias"}
        if contributions
        else None,
        "card": {"accuracy": 1.0},
        **(changes or {}),
    }
    return _model(nodes, constants, ("sequence", TensorProto.FLOAT, ["batch", time, features]), outputs, contract)


def model_of(number: int) -> bytes:
    """A model whose answers tell which it is."""
    return timeseries_model(weights=np.array([0.1 * number, -0.25], np.float32))


def image_model(
    rows: int = 8,
    columns: int = 8,
    channels: int = 1,
    fit: str = "pad",
    labels: Sequence[str] = tuple("0123456789"),
    attention: str = "Identity",
) -> bytes:
    """Hands its input on as its attention map (row, column, channel), so that a test sees every pixel that arrived.
    `attention`: another operator in Identity's place.
    """
    count = len(labels)
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled", "places"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["mean_column"]),
        helper.make_node("Mul", ["mean_column", "steps"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node(attention, ["pixels"], ["attention"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "scale": np.array([1 / 255], np.float32),
        "places": np.array([1, 2, 3], np.int64),
        "one": np.array([1], np.int64),
        "steps": np.arange(count, dtype=np.float32)[None],
    }
    outputs: dict[str, Sequence[Dimension]] = {
        "probabilities": ["batch", count],
        "logits": ["batch", count],
        "attention": ["batch", rows, columns, channels],
    }
    contract = {
        "format": 1,
        "task": "image",
        "labels": list(labels),
        "input": {"name": "image", "axes": ["batch", "row", "column", "channel"], "fit": fit},
        "outputs": {"scores": "probabilities", "logits": "logits"},
        "attention": [
            {
                "output": "attention",
                "kind": "spatial",
                "axes": ["batch", "row", "column", "channel"],
                "range": [0, None],
                "average": ["channel"],
            }
        ],
    }
    shape: list[Dimension] = ["batch", rows, columns, channels]
    return _model(nodes, constants, ("image", TensorProto.UINT8, shape), outputs, contract)


def with_more_outputs(model: bytes) -> bytes:
    """The graph with outputs that its contract does not name, of every datatype that may be one; the last two have no
    row for each input, or are no tensor.
    """
    graph_file = onnx.load_from_string(model)
    graph = graph_file.graph
    kinds = {
        "integer": TensorProto.INT64, "byte": TensorProto.UINT8, "half": TensorProto.FLOAT16,
        "double": TensorProto.DOUBLE, "flag": TensorProto.BOOL, "text": TensorProto.STRING,
    }  # fmt: skip
    for name, kind in kinds.items():
        graph.node.append(helper.make_node("Cast", ["probabilities"], [name], to=kind))
        graph.output.append(helper.make_tensor_value_info(name, kind, ["batch", 2]))
    graph.node.append(helper.make_node("Shape", ["probabilities"], ["sizes"]))
    graph.output.append(helper.make_tensor_value_info("sizes", TensorProto.INT64, [2]))
    graph.node.append(helper.make_node("SequenceConstruct", ["probabilities"], ["list"]))
    graph.output.append(helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, ["batch", 2]))
    onnx.checker.check_model(graph_file)
    content: bytes = graph_file.SerializeToString()
    return content


def publish(repository: Path, name: str, version: str, model: bytes, samples: list[Any] | None = None) -> Path:
    """Write a version as the export does."""
    folder = repository / name / version
    folder.mkdir(parents=True)
    files = {"model.onnx": model}
    if samples is not None:
        files["samples.json"] = json.dumps({"samples": samples}).encode()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    lines = [f"{hashlib.sha256(content).hexdigest()}  {file}\n" for file, content in files.items()]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


def _model(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    taken: tuple[str, int, Sequence[Dimension]],
    outputs: dict[str, Sequence[Dimension]],
    contract: dict[str, Any],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*taken)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"heed.contract": json.dumps(contract)})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
