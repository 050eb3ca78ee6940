"""The same graph and the same answer for every peer; what lies between request and model is the peer's own."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson
from numpy.typing import NDArray
from PIL import Image

from models.answer import outputs_needed
from models.contract import Attention, read_contract
from models.layout import MODEL_FILE, versions

Tensor = NDArray[Any]
Document = dict[str, Any]


class Model:
    """One graph. Answers are made for a whole batch at once, which is quicker than row by row."""

    def __init__(self, name: str) -> None:
        folder = Path(os.environ["PEER_REPOSITORY"], name)
        # As Heed has it: the highest answers.
        version = str(max(versions(folder)))
        # One thread each, as Heed has it: with all cores busy on requests more threads only get in each other's way.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = folder / version / MODEL_FILE
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._contract = read_contract(self._session.get_modelmeta().custom_metadata_map)
        self._identity = {"model": {"name": name, "version": version, "task": self._contract.task}}
        self._names = outputs_needed(self._contract, "summary")

    def run(self, rows: Tensor) -> dict[str, Tensor]:
        """The outputs of one pass, (batch, …) each."""
        values = self._session.run(self._names, {self._contract.input.name: rows})
        return dict(zip(self._names, values, strict=True))

    def answers(self, rows: Tensor) -> list[Document]:
        """One answer for each row, with NumPy arrays in it."""
        contract, tensors = self._contract, self.run(rows)
        scores = tensors[contract.outputs.scores]
        maps = [_weights(entry, tensors[entry.output]) for entry in contract.attention]
        answers: list[Document] = []
        for row, best in enumerate(scores.argmax(axis=1).tolist()):
            label, own = contract.labels[best], scores[row]
            answer = self._identity | {
                "prediction": {
                    "label": label,
                    "score": own[best],
                    "scores": dict(zip(contract.labels, own, strict=True)),
                },
                "attention": [head | {"weights": weights[row]} for head, weights in maps],
                "contributions": None,
            }
            if part := contract.contributions:
                answer["contributions"] = {
                    "label": label,
                    "unit": "logit",
                    "axes": part.axes[2:],
                    "bias": tensors[part.bias][row, best],
                    "values": tensors[part.output][row, best],
                }
            answers.append(answer)
        return answers


def _weights(entry: Attention, weights: Tensor) -> tuple[Document, Tensor]:
    if entry.average:
        weights = np.ascontiguousarray(weights.mean(axis=tuple(entry.axes.index(axis) for axis in entry.average)))
    head = {
        "name": entry.output,
        "kind": entry.kind,
        "axes": [axis for axis in entry.axes[1:] if axis not in entry.average],
        "shape": weights.shape[1:],
        "range": entry.range,
        "sums_to_one_over": entry.sums_to_one_over,
        "averaged_over": entry.average,
    }
    return head, weights


def series(content: bytes) -> Tensor:
    """The body of a time series: (time, feature)."""
    return np.array(orjson.loads(content)["sequence"], np.float32)


def picture(content: bytes) -> Tensor:
    """A picture file of the model's own size: (row, column, channel)."""
    return pixels(Image.open(io.BytesIO(content)))


def pixels(image: Image.Image) -> Tensor:
    """The same of a picture that is open already."""
    return np.asarray(image.convert("L"))[..., np.newaxis]


def with_region(answer: Document, image: Tensor) -> Document:
    """The answer with what Heed says of a picture that needed no fitting."""
    rows, columns, _ = image.shape
    region = [0.0, 0.0, float(columns), float(rows)]
    return answer | {"image": {"width": columns, "height": rows, "region": region}}


def encoded(answer: Document) -> bytes:
    """As JSON, arrays written directly."""
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
