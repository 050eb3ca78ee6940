"""Model folders that attack: each as somebody might put it into a repository, and what it is refused with."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.service.tiny_models import WEIGHTS, publish, timeseries_model

MODEL = timeseries_model()


class Hostile(NamedTuple):
    """How a version is put into a repository, and what its reason says."""

    put: Callable[[Path], None]
    reason: str


def put_model(model: bytes) -> Callable[[Path], None]:
    """With right checksums: whoever attacks can count too."""

    def put(repository: Path) -> None:
        publish(repository, "hostile", "1", model)

    return put


def changed(change: Callable[[onnx.ModelProto], None]) -> bytes:
    """The tiny model, something in it changed."""
    model = onnx.load_from_string(MODEL)
    change(model)
    content: bytes = model.SerializeToString()
    return content


def _far_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 4000


def _external_data(model: onnx.ModelProto) -> None:
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../../../etc/hostname"), ("offset", "0"), ("length", "8")):
        weights.external_data.add(key=key, value=value)


def _endless(model: onnx.ModelProto) -> None:
    """A loop of as many turns as a 64-bit number has, around the series itself."""
    turn = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Sin", ["before"], ["after"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(2**62, np.int64), "turns"),
            numpy_helper.from_array(np.array(True), "yes"),
        ]
    )
    loop = helper.make_node("Loop", ["turns", "yes", "sequence"], ["spun"], body=turn)
    model.graph.node[0].input[0] = "spun"
    model.graph.node.insert(0, loop)


def _huge(model: onnx.ModelProto) -> None:
    """A tensor of a hundred gigabytes on the way, summed to nothing again."""
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([25 * 10**9], np.int64), "size"),
            numpy_helper.from_array(np.array(0, np.float32), "none"),
        ]
    )
    first = model.graph.node[0]
    model.graph.node.insert(0, helper.make_node("Expand", ["one_value", "size"], ["large"]))
    model.graph.node.insert(1, helper.make_node("ReduceMean", ["large"], ["mean"], keepdims=0))
    model.graph.node.insert(2, helper.make_node("Mul", ["mean", "none"], ["nothing_of_it"]))
    model.graph.node.insert(3, helper.make_node("Add", ["sequence", "nothing_of_it"], ["same"]))
    model.graph.node.insert(0, helper.make_node("ReduceMean", ["sequence"], ["one_value"], keepdims=0))
    first.input[0] = "same"
    # The graph's checker is not asked: it would not mind.


def _nan_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full(2, np.nan, np.float32), "weights"))


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Reveal"


def _wrong_shape(model: onnx.ModelProto) -> None:
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 7


def _million_labels(model: onnx.ModelProto) -> None:
    contract = json.loads(model.metadata_props[0].value)
    contract["labels"] = [f"label {number}" for number in range(10**6)]
    model.metadata_props[0].value = json.dumps(contract)


def _wrong_checksum(repository: Path) -> None:
    folder = publish(repository, "hostile", "1", MODEL)
    (folder / "model.onnx").write_bytes(MODEL + b"\0")


def _link_out(repository: Path) -> None:
    folder = publish(repository, "hostile", "1", MODEL)
    outside = repository.parent / f"{repository.name} outside.onnx"
    (folder / "model.onnx").rename(outside)
    (folder / "model.onnx").symlink_to(outside)


def _folder_link_out(repository: Path) -> None:
    elsewhere = repository.parent / f"{repository.name} elsewhere"
    publish(elsewhere, "hostile", "1", MODEL)
    (repository / "hostile").mkdir()
    (repository / "hostile" / "1").symlink_to(elsewhere / "hostile" / "1")


def _unreadable(repository: Path) -> None:
    folder = publish(repository, "hostile", "1", MODEL)
    (folder / "model.onnx").unlink()
    # For root every file can be read; a folder is no file for anybody.
    (folder / "model.onnx").mkdir()


def _pipe(repository: Path) -> None:
    folder = publish(repository, "hostile", "1", MODEL)
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")


HOSTILE: dict[str, Hostile] = {
    "empty": Hostile(put_model(b""), "onnxruntime cannot load the graph"),
    "truncated": Hostile(put_model(MODEL[: len(MODEL) // 2]), "onnxruntime cannot load the graph"),
    "noise": Hostile(put_model(bytes(range(256)) * 64), "onnxruntime cannot load the graph"),
    "wrong checksum": Hostile(_wrong_checksum, "the sha256 of model.onnx is not the one in SHA256SUMS"),
    "external data": Hostile(put_model(changed(_external_data)), "onnxruntime cannot load the graph"),
    "opset of the future": Hostile(put_model(changed(_far_opset)), "onnxruntime cannot load the graph"),
    "unknown operator": Hostile(put_model(changed(_unknown_operator)), "onnxruntime cannot load the graph"),
    "no contract": Hostile(put_model(changed(lambda model: model.ClearField("metadata_props"))), "contract"),
    "contract of another format": Hostile(put_model(timeseries_model(changes={"format": 2})), "format"),
    "a million labels": Hostile(put_model(changed(_million_labels)), "labels"),
    "wrong shapes": Hostile(put_model(changed(_wrong_shape)), "logits"),
    "weights that are no numbers": Hostile(put_model(changed(_nan_weights)), "is not finite for an input of zeros"),
    "never ends": Hostile(put_model(changed(_endless)), "takes longer than"),
    "needs a hundred gigabytes": Hostile(put_model(changed(_huge)), ""),
    "link out of the repository": Hostile(_link_out, "model.onnx is a link to a file outside the repository"),
    "folder that is a link out": Hostile(_folder_link_out, "model.onnx is a link to a file outside the repository"),
    "unreadable": Hostile(_unreadable, "model.onnx cannot be read"),
    "pipe": Hostile(_pipe, "model.onnx is not a regular file"),
}

assert WEIGHTS.dtype == np.float32, "the model's weights are replaced in kind"
