"""Trained, exported, published, served: the whole way, through a real process and a real socket."""

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.export.quick import ROOT
from tests.service.processes import greeting, port_of, process

# The two sample sequences of the text, and what they are: their labels.
TEXT_SAMPLES = [
    (
        [
            [14.05795148, 10.6586937],
            [-5.17788409, 3.0967234],
            [1, 1],
            [-7.16327903, 7.36591461],
            [3.07887461, 18.46302035],
            [8.7123103, 15.77254757],
            [-7.6266161, -4.56511326],
            [1.64038985, 0.10782463],
            [3.62548177, 3.22431191],
            [0.76630364, -3.95249622],
        ],
        "1",
    ),
    (
        [
            [-4.22167643, 1.98029051],
            [-1.00985459, 15.08588672],
            [0, 0],
            [13.48448467, -0.66743308],
            [31.3199347, 3.0311851],
            [-4.81579489, 1.62016606],
            [7.40993759, 4.25739609],
            [13.37376609, -11.63055067],
            [-6.46277603, -13.94173142],
            [-12.01871193, -9.53632924],
        ],
        "0",
    ),
]


@pytest.fixture(scope="module")
def address(
    published_series: Path, published_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, list[str], Path]]:
    """A service on what the export has published: its port, its greeting and its repository."""
    repository = tmp_path_factory.mktemp("published")
    for version in (published_series, published_image):
        shutil.copytree(version, repository / version.parent.name / version.name)
    with process(repository) as started:
        lines = greeting(started)
        yield port_of(lines), lines, repository


def _ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, sent, {"Content-Type": "application/json", **headers} if body else headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


@pytest.mark.parametrize(("sequence", "label"), TEXT_SAMPLES)
def test_the_texts_samples_are_told_by_step_2(
    address: tuple[int, list[str], Path], sequence: list[list[float]], label: str
) -> None:
    """The label of the text, the largest weight at the step that tells it, and contributions that add up."""
    status, answer = _ask(address[0], "POST", "/predict/timeseries", {"sequence": sequence})

    assert status == 200
    assert answer["prediction"]["label"] == label
    assert answer["prediction"]["score"] > 0.9
    weights = answer["attention"][0]["weights"]
    assert int(np.argmax(weights)) == 2
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    score = answer["prediction"]["score"]
    total = answer["contributions"]["bias"] + sum(answer["contributions"]["values"])
    assert total == pytest.approx(np.log(score / (1 - score)), rel=1e-3)


def test_the_service_answers_what_onnxruntime_does(
    address: tuple[int, list[str], Path], published_series: Path
) -> None:
    """The published samples through HTTP and straight through the file: the same numbers, and the true labels."""
    session = onnxruntime.InferenceSession(published_series / "model.onnx", providers=["CPUExecutionProvider"])
    _, listed = _ask(address[0], "GET", "/models/timeseries/samples")
    assert len(listed["samples"]) == 12

    for sample in listed["samples"]:
        status, answer = _ask(address[0], "POST", "/predict/timeseries?attention=full", sample["body"])
        rows = np.array([sample["body"]["sequence"]], np.float32)
        scores, weights = session.run(["probabilities", "attention"], {"sequence": rows})

        assert status == 200
        assert answer["prediction"]["label"] == sample["label"]
        np.testing.assert_array_equal(np.array(list(answer["prediction"]["scores"].values()), np.float32), scores[0])
        np.testing.assert_array_equal(np.array(answer["attention"][0]["weights"], np.float32), weights[0])


def test_the_image_samples_and_the_example_are_answered(address: tuple[int, list[str], Path]) -> None:
    """JSON, raw bytes: gates for every block, a map over the whole picture."""
    _, listed = _ask(address[0], "GET", "/models/image/samples")
    bodies = [sample["body"] for sample in listed["samples"]]
    example = (ROOT / "examples" / "digit.png").read_bytes()

    answers = [_ask(address[0], "POST", "/predict/image", body) for body in bodies]
    answers.append(_ask(address[0], "POST", "/predict/image", example, **{"Content-Type": "image/png"}))

    for status, answer in answers:
        assert status == 200
        assert [entry["name"] for entry in answer["attention"]] == ["gates_2", "gates_3", "gates_4", "gates_5"]
        assert answer["image"] == {"width": 40, "height": 40, "region": [0, 0, 40, 40]}
        assert np.shape(answer["contributions"]["values"]) == (10, 10)


def test_the_printed_curl_lines_work_when_pasted(address: tuple[int, list[str], Path]) -> None:
    """What the service prints at its start is run by a shell."""
    _, lines, _ = address
    assert len(lines) == 3

    for line in lines[1:]:
        done = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=30)
        if done.returncode == 127:  # no curl on this machine
            assert "curl" in done.stderr
        else:
            assert json.loads(done.stdout)["attention"]
