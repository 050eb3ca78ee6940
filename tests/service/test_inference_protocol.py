"""The Open Inference Protocol: what the server and its models say of themselves, by version, and to whom."""

from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from service.settings import Settings
from tests.service.client import Client, problem, running
from tests.service.inference import (
    EVERYTHING,
    INFER,
    ONE,
    answer_of,
    asked,
    assert_same,
    binary_series,
    by_onnxruntime,
    the_input,
)
from tests.service.loading import loading
from tests.service.tiny_models import publish, timeseries_model


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_says_what_it_can(client: Client, path: str) -> None:
    """By the names of the extensions that clients look for."""
    document = client.get(path).json()

    assert (document["name"], document["version"]) == ("heed", "0.1.0")
    assert set(document["extensions"]) == {
        "binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics",
    }  # fmt: skip


def test_model_says_its_tensors(client: Client) -> None:
    """With -1 where a dimension is open, and what attention means, as the contract in the file says it."""
    document = client.get("/v2/models/any_length").json()

    assert (document["name"], document["versions"], document["platform"]) == ("any_length", ["1"], "onnx_onnxv1")
    assert document["inputs"] == [{"name": "sequence", "datatype": "FP32", "shape": [-1, -1, 2]}]
    outputs = {one["name"]: one for one in document["outputs"]}
    assert list(outputs) == EVERYTHING
    assert outputs["contributions"] == {"name": "contributions", "datatype": "FP32", "shape": [-1, 2, -1]}
    (entry,) = client.get("/models/any_length").json()["contract"]["attention"]
    assert outputs["attention"] == {"name": "attention", "datatype": "FP32", "shape": [-1, -1, 2], "parameters": entry}


def test_image_model_says_its_tensors(client: Client) -> None:
    """Bytes, of a fixed size."""
    assert client.get("/v2/models/colour").json()["inputs"] == [
        {"name": "image", "datatype": "UINT8", "shape": [-1, 6, 4, 3]}
    ]


@pytest.mark.parametrize("path", ["/v2/models/timeseries/ready", "/v2/models/timeseries/versions/1/ready"])
def test_model_is_ready(client: Client, path: str) -> None:
    """200 for those who look at the status, JSON for those who read it."""
    response = client.get(path)

    assert (response.status_code, response.json()) == (200, {"name": "timeseries", "ready": True})


def test_model_that_is_loading_is_not_ready(tmp_path: Path) -> None:
    """503 until it is there; the others are ready meanwhile."""
    publish(tmp_path, "a", "1", timeseries_model(features=1))
    held = publish(tmp_path, "b", "1", timeseries_model())
    with loading(Settings(model_repository=tmp_path), held) as (client, let_go):
        client.wait_until_loaded("a")
        other, before = client.get("/v2/models/a/ready"), client.get("/v2/models/b/ready")
        asked_before = asked(client, binary_series(ONE), "b")
        let_go()
        client.wait_until_loaded()
        after = client.get("/v2/models/b/ready")

    assert (other.status_code, after.status_code) == (200, 200)
    problem(before, 503, "loading")
    problem(asked_before, 503, "loading")


def test_versions_are_told_apart(tmp_path: Path) -> None:
    """The highest where none is named; a refused one is not among those that can be asked for."""
    for version, weight in (("1", 1), ("2", 2)):
        publish(tmp_path, "timeseries", version, timeseries_model(weights=np.full(2, weight, np.float32)))
    publish(tmp_path, "timeseries", "3", b"nonsense")
    with running(Settings(model_repository=tmp_path)) as client:
        versions = client.get("/v2/models/timeseries").json()["versions"]
        refused = client.get("/v2/models/timeseries/versions/3/ready")
        answers = [
            answer_of(client.post(f"/v2/models/timeseries{end}/infer", json={"inputs": [the_input()]}))
            for end in ("", "/versions/1", "/versions/2")
        ]

    assert versions == ["1", "2"]
    problem(refused, 404, "unknown-version")
    assert [answer.document["model_version"] for answer in answers] == ["2", "1", "2"]
    for answer, weight in zip(answers, (2, 1, 2), strict=True):
        model = timeseries_model(weights=np.full(2, weight, np.float32))
        assert_same(answer.tensors, by_onnxruntime(model, ONE, EVERYTHING))


@pytest.mark.parametrize("path", ["/v2", "/v2/models/timeseries", "/v2/models/timeseries/ready", "/v2/models/x/stats"])
def test_key_is_asked_for(one_model: Path, path: str) -> None:
    """On every route but those of health."""
    key = "a-key-of-the-tests"
    with running(Settings(model_repository=one_model, api_keys=SecretStr(key)), is_loaded=False) as client:
        client.wait_until_ready()
        without = [client.get(path), asked(client, binary_series(ONE))]
        with_key = asked(client, binary_series(ONE), **{"X-API-Key": key})

    for response in without:
        problem(response, 401, "unauthorized")
    assert with_key.status_code == 200


def test_head_of_what_is_served(client: Client) -> None:
    """Wherever GET is answered; and a wrong method names the right one."""
    head = client.request("HEAD", "/v2/models/timeseries")
    wrong: httpx.Response = client.get(INFER.format("timeseries"))

    assert (head.status_code, head.content) == (200, b"")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
