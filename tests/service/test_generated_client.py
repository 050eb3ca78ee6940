"""A client generated from /openapi.json, by a generator that knows nothing of Heed, asks a real service."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.examples import PICTURE, SERIES
from tests.service.client import Client
from tests.service.processes import greeting, port_of, process

KEY = "a-key-of-the-tests"
# Run by itself, with nothing but the generated package and what that needs.
ASKS = """
import base64, io, json, sys
from heed_client import AuthenticatedClient
from heed_client.api.inference_protocol import infer_v2_models_name_infer_post as infer
from heed_client.api.models import list_models_models_get as list_models
from heed_client.api.predictions import predict_image_predict_image_post as predict_image
from heed_client.api.predictions import predict_timeseries_predict_timeseries_post as predict_timeseries
from heed_client.models import (
    InferenceRequest, PictureBody, PictureForm, PredictTimeseriesPredictTimeseriesPostAttention, SequenceBody,
)
from heed_client.types import File

asked = json.load(sys.stdin)
client = AuthenticatedClient(asked["address"], token=asked["key"])
full = PredictTimeseriesPredictTimeseriesPostAttention.FULL
file = File(io.BytesIO(base64.b64decode(asked["picture"])), "digit.png", "image/png")
answers = {
    "series": predict_timeseries.sync(client=client, body=SequenceBody(asked["series"]), attention=full),
    "picture": predict_image.sync(client=client, body=PictureBody(asked["picture"])),
    "file": predict_image.sync(client=client, body=PictureForm(file)),
    "inference": infer.sync("timeseries", client=client, body=InferenceRequest.from_dict(asked["inference"])),
    "models": list_models.sync(client=client),
    "problem": predict_timeseries.sync(client=client, body=SequenceBody(asked["series"]), model="nope"),
}
print(json.dumps({name: [type(one).__name__, one.to_dict()] for name, one in answers.items()}))
"""
INFERENCE = {
    "inputs": [{"name": "sequence", "shape": [1, 10, 2], "datatype": "FP32", "data": [SERIES]}],
    "outputs": [{"name": "probabilities"}],
}


@pytest.fixture(scope="module")
def answers(repository: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the generated client got, each with the class that it made of it."""
    folder = tmp_path_factory.mktemp("generated")
    document = folder / "openapi.json"
    document.write_bytes(client.get("/openapi.json").content)
    generate(document, folder / "heed_client")
    with process(repository, HEED_API_KEYS=KEY) as started:
        address = f"http://127.0.0.1:{port_of(greeting(started, 1))}"
        asked = {"address": address, "key": KEY, "series": SERIES, "picture": PICTURE, "inference": INFERENCE}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", ASKS],
            input=json.dumps(asked), capture_output=True, text=True, cwd=folder, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    got: dict[str, Any] = json.loads(done.stdout)
    return got


def generate(document: Path, package: Path) -> None:
    """The package. What the generator leaves out it warns of: one body of /predict/image, a file that is no form."""
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    done = subprocess.run(
        [*command, "--path", str(document), "--output-path", str(package)], capture_output=True, text=True, timeout=60
    )
    warnings = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("WARNING")]
    assert done.returncode == 0, done.stderr
    assert warnings == ["WARNING parsing POST /predict/image within predictions."]


def test_a_series_is_predicted(answers: dict[str, Any], client: Client) -> None:
    """With its parameters, into the class of the answer; nothing of the answer is lost on the way."""
    name, answer = answers["series"]
    straight = client.post("/predict/timeseries?attention=full", json={"sequence": SERIES}).json()

    assert name == "TimeseriesAnswer"
    assert answer == straight


@pytest.mark.parametrize("how", ["picture", "file"])
def test_a_picture_is_predicted(answers: dict[str, Any], client: Client, how: str) -> None:
    """As base64 and as a file in a form."""
    name, answer = answers[how]

    assert name == "ImageAnswer"
    assert answer == client.post("/predict/image", json={"image": PICTURE}).json()


def test_other_routes_are_answered(answers: dict[str, Any], client: Client) -> None:
    """The inference protocol and the catalogue."""
    name, answer = answers["inference"]

    assert name == "InferenceAnswer"
    assert answer == client.post("/v2/models/timeseries/infer", json=INFERENCE).json()
    assert answers["models"][0] == "ModelList"
    assert {one["name"] for one in answers["models"][1]["models"]} >= {"timeseries", "image"}


def test_a_problem_is_a_problem(answers: dict[str, Any]) -> None:
    """A refusal comes as an object of one class, not as nothing."""
    name, problem = answers["problem"]

    assert name == "Problem"
    assert problem["type"] == "urn:heed:problem:unknown-model"
