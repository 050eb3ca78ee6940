"""What the soak asks: series and pictures of many sizes, wrong and unfinished ones; a model that takes any length."""

import gzip
import hashlib
import io
import json
import random
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.pictures import LARGE_SIZE, large_jpeg
from benchmarks.questions import Question, picture_questions, series_questions
from models.answer import Detail
from models.contract import METADATA_KEY, Attention, Contract, Contributions, Input, Outputs
from models.layout import CHECKSUMS_FILE, MODEL_FILE

DETAILS: tuple[Detail, ...] = ("none", "summary", "full")
ANY_LENGTH = "any-length"
LONGEST = 400
UNITS = 16
FEATURES = 2
# Over the service's default limits, and little to send: inflated, and in pixels.
TOO_LONG_BYTES = 17 * 2**20
TOO_LARGE_SIZE = (10_000, 10_000)
MISSING_BYTES = 1000


@dataclass(frozen=True)
class Asked:
    """A question, and what is known of its answer beforehand. `facts`: by the way through the JSON document, as in
    `attention.0.shape`.
    """

    kind: str
    question: Question
    status: int = 200
    facts: Mapping[str, Any] = field(default_factory=dict)

    def complaint(self, document: Any) -> str | None:
        """What an answer says otherwise, if anything."""
        for way, expected in self.facts.items():
            value = document
            for step in way.split("."):
                try:
                    value = value[int(step) if step.isdigit() else step]
                except (KeyError, IndexError, TypeError):
                    return f"{way} is missing"
            if value != expected:
                return f"{way} is {value}, not {expected}"
        return None


def deck(repository: Path) -> list[Asked]:
    """A thousand questions, shuffled, always in the same order; nine in ten are to be answered with 200."""
    cards = [*_any_length(), *_samples(repository), *_large(), *_wrong(repository)]
    random.Random(1).shuffle(cards)
    return cards


def unfinished(questions: Iterable[Question]) -> list[Question]:
    """The same questions, each of a client that promises more than it sends."""
    return [
        replace(it, headers={**it.headers, "Content-Length": str(len(it.body) + MISSING_BYTES)}) for it in questions
    ]


def _any_length() -> list[Asked]:
    """Every length once."""
    values = np.random.default_rng(1).normal(0, 10, (LONGEST, FEATURES)).round(2)
    return [_series(values[:steps].tolist(), DETAILS[steps % len(DETAILS)]) for steps in range(1, LONGEST + 1)]


def _series(sequence: list[list[float]], detail: Detail) -> Asked:
    path = f"/predict/timeseries?model={ANY_LENGTH}&attention={detail}"
    question = Question(ANY_LENGTH, path, "application/json", json.dumps({"sequence": sequence}).encode())
    kind = f"series of 1 to {LONGEST} steps, attention={detail}"
    return Asked(kind, question, facts=_series_facts(ANY_LENGTH, detail, [len(sequence), UNITS]))


def _series_facts(model: str, detail: Detail, shape: list[int]) -> dict[str, Any]:
    told: dict[Detail, dict[str, Any]] = {
        "none": {"attention": []},
        "summary": {"attention.0.shape": shape[:1]},
        "full": {"attention.0.shape": shape},
    }
    return {"model.name": model, **told[detail]}


def _samples(repository: Path) -> list[Asked]:
    """What both trained models' own samples ask."""
    cards = []
    for detail in DETAILS:
        for question in series_questions(repository):
            facts = _series_facts("timeseries", detail, [10, 32])
            cards += 8 * [_detailed("series of 10 steps", question, detail, facts)]
        for question in picture_questions(repository):
            cards += 4 * [_detailed("40×40 PNG", question, detail, {"model.name": "image", "image.width": 40})]
    return cards


def _large() -> list[Asked]:
    small, middle = io.BytesIO(), io.BytesIO()
    Image.open(io.BytesIO(large_jpeg((320, 240)))).save(middle, "PNG")
    Image.open(io.BytesIO(middle.getvalue())).resize((40, 40)).save(small, "JPEG")
    files = [
        ("320×240 PNG", "image/png", middle.getvalue(), 320, 8),
        ("40×40 JPEG", "image/jpeg", small.getvalue(), 40, 8),
        ("1600×1200 JPEG", "image/jpeg", large_jpeg((1600, 1200)), 1600, 4),
    ]
    cards = [Asked("12 MP JPEG", _picture("image/jpeg", large_jpeg()), facts={"image.width": LARGE_SIZE[0]})]
    for kind, media_type, content, width, times in files:
        for detail in DETAILS:
            facts = {"model.name": "image", "image.width": width}
            cards += times * [_detailed(kind, _picture(media_type, content), detail, facts)]
    return cards


def _wrong(repository: Path) -> list[Asked]:
    series, picture = series_questions(repository)[0], picture_questions(repository)[0]
    black = io.BytesIO()
    Image.new("1", TOO_LARGE_SIZE).save(black, "PNG")
    packed = replace(series, body=gzip.compress(b" " * TOO_LONG_BYTES), headers={"Content-Encoding": "gzip"})
    ways = [
        (24, 400, "malformed-body", replace(series, body=series.body[:-2])),
        (12, 400, "malformed-body", replace(picture, body=picture.body[: len(picture.body) // 2])),
        (6, 404, "unknown-model", replace(series, path="/predict/timeseries?model=unknown")),
        (2, 413, "too-large", packed),
        (10, 413, "too-large", replace(picture, body=black.getvalue())),
        (6, 415, "unsupported-media-type", replace(series, media_type="text/plain")),
        (24, 422, "invalid-input", replace(series, body=b'{"sequence": [[1, 2]]}')),
        (24, 422, "invalid-input", replace(series, body=b'{"sequence": [["one", "two"]]}')),
    ]
    return [
        card
        for times, status, word, question in ways
        for card in times * [Asked(f"wrong: {word}", question, status, {"type": f"urn:heed:problem:{word}"})]
    ]


def _picture(media_type: str, content: bytes) -> Question:
    return Question("picture", "/predict/image", media_type, content)


def _detailed(kind: str, question: Question, detail: Detail, facts: Mapping[str, Any]) -> Asked:
    asked = replace(question, path=f"{question.path}?attention={detail}")
    return Asked(f"{kind}, attention={detail}", asked, facts=facts)


def soak_repository(trained: Path, folder: Path) -> Path:
    """A repository with the two trained models and the one of any length."""
    for name in ("timeseries", "image"):
        shutil.copytree(trained / name, folder / name)
    write_version(folder / ANY_LENGTH / "1", any_length_model())
    return folder


def write_version(folder: Path, model: bytes) -> None:
    """A version of a model, whole before it has its name."""
    new = folder.with_name(f".{folder.name}")
    new.mkdir(parents=True)
    (new / MODEL_FILE).write_bytes(model)
    (new / CHECKSUMS_FILE).write_text(f"{hashlib.sha256(model).hexdigest()}  {MODEL_FILE}\n")
    new.rename(folder)


def any_length_model(seed: int = 1) -> bytes:
    """An attention-LSTM, untrained, for series of any length: the trained one's time × time kernel fixes its length.
    Each unit's softmax over time takes its hidden state as it is. `seed`: of its weights.
    """
    nodes = [
        helper.make_node("Transpose", ["sequence"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "input_weights", "hidden_weights"], ["directions"], hidden_size=UNITS),
        helper.make_node("Squeeze", ["directions", "one"], ["by_time"]),
        helper.make_node("Transpose", ["by_time"], ["hidden"], perm=[1, 0, 2]),
        helper.make_node("Softmax", ["hidden"], ["attention"], axis=1),
        helper.make_node("Mul", ["attention", "hidden"], ["attended"]),
        helper.make_node("Mul", ["attended", "head"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "last"], ["shares"], keepdims=0),
        helper.make_node("ReduceSum", ["shares", "last"], ["logit"], keepdims=1),
        helper.make_node("Mul", ["logit", "signs"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
        helper.make_node("Mul", ["logits", "zero"], ["bias"]),
        helper.make_node("Unsqueeze", ["shares", "one"], ["rows"]),
        helper.make_node("Mul", ["rows", "sign_column"], ["contributions"]),
    ]
    draw = np.random.default_rng(seed)
    constants: dict[str, NDArray[Any]] = {
        "input_weights": draw.normal(0, 0.1, (1, 4 * UNITS, FEATURES)).astype(np.float32),
        "hidden_weights": draw.normal(0, 0.2, (1, 4 * UNITS, UNITS)).astype(np.float32),
        "head": draw.normal(0, 1, UNITS).astype(np.float32),
        "one": np.array([1], np.int64),
        "last": np.array([-1], np.int64),
        "signs": np.array([[-1, 1]], np.float32),
        "sign_column": np.array([[[-1], [1]]], np.float32),
        "zero": np.zeros(1, np.float32),
    }
    outputs: dict[str, list[str | int]] = {
        "probabilities": ["batch", 2],
        "logits": ["batch", 2],
        "attention": ["batch", "time", UNITS],
        "contributions": ["batch", 2, "time"],
        "bias": ["batch", 2],
    }
    graph = helper.make_graph(
        nodes,
        ANY_LENGTH,
        [helper.make_tensor_value_info("sequence", TensorProto.FLOAT, ["batch", "time", FEATURES])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, _contract().model_dump_json()
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _contract() -> Contract:
    axes = ("batch", "time", "unit")
    looks = Attention(
        output="attention", kind="temporal", axes=axes, range=(0, 1), sums_to_one_over="time", average=("unit",)
    )
    return Contract(
        format=1,
        task="timeseries",
        labels=("0", "1"),
        input=Input(name="sequence", axes=("batch", "time", "feature")),
        outputs=Outputs(scores="probabilities", logits="logits"),
        attention=(looks,),
        contributions=Contributions(output="contributions", axes=("batch", "class", "time"), bias="bias"),
        provenance={},
        card={},
    )
