"""GET /models: what is served, what was refused and why, and samples that work."""

from pathlib import Path

import pytest

from service.settings import Settings
from tests.service.client import Client, running
from tests.service.conftest import SERIES
from tests.service.tiny_models import publish, timeseries_model


def test_list_tells_every_version(tmp_path: Path) -> None:
    """Served, refused with its reason, and which one answers."""
    publish(tmp_path, "timeseries", "1", timeseries_model())
    publish(tmp_path, "timeseries", "2", b"nonsense")
    publish(tmp_path, "image", "1", b"nonsense")
    with running(Settings(model_repository=tmp_path)) as client:
        image, timeseries = client.get("/models").json()["models"]

    assert (timeseries["name"], timeseries["task"], timeseries["default_version"]) == ("timeseries", "timeseries", "1")
    assert timeseries["versions"][0] == {"version": "1", "status": "served", "reason": None}
    assert timeseries["versions"][1]["status"] == "refused"
    assert "onnxruntime cannot load" in timeseries["versions"][1]["reason"]
    assert (image["task"], image["default_version"]) == (None, None)


def test_description_has_contract_and_tensors(client: Client) -> None:
    """As the file has them; a varying dimension is null."""
    model = client.get("/models/any_length").json()

    assert model["version"] == "1"
    assert model["contract"]["input"] == {"name": "sequence", "axes": ["batch", "time", "feature"]}
    assert model["card"] == {"accuracy": 1.0}
    assert model["inputs"] == {"sequence": {"dtype": "float32", "shape": [None, None, 2]}}
    assert model["outputs"]["probabilities"] == {"dtype": "float32", "shape": [None, 2]}


def test_description_of_a_refused_version(tmp_path: Path) -> None:
    """Its reason is told, what is not known is null."""
    publish(tmp_path, "timeseries", "1", b"nonsense")
    with running(Settings(model_repository=tmp_path)) as client:
        default, first = client.get("/models/timeseries").json(), client.get("/models/timeseries?version=1").json()

    assert default == first
    assert (first["version"], first["contract"], first["inputs"], first["has_samples"]) == ("1", None, None, None)


def test_description_tells_of_samples(client: Client) -> None:
    """Whoever asks for them only where there are any is never told that there are none."""
    described = [client.get(f"/models/{name}").json()["has_samples"] for name in ("timeseries", "any_length")]

    assert described == [True, False]


@pytest.mark.parametrize("name", ["timeseries", "image"])
def test_samples_are_bodies_that_work(client: Client, name: str) -> None:
    """Each can be posted as it is."""
    document = client.get(f"/models/{name}/samples").json()

    assert document["model"] == {"name": name, "version": "1", "task": name}
    for sample in document["samples"]:
        assert client.post(f"/predict/{name}", json=sample["body"]).status_code == 200
    assert document["samples"]


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/models/nope", 404, "unknown-model"),
        ("/models/nope/samples", 404, "unknown-model"),
        ("/models/timeseries?version=9", 404, "unknown-version"),
        ("/models/timeseries/samples?version=x", 404, "unknown-version"),
        ("/models/any_length/samples", 404, "no-samples"),
        ("/models?version=1", 422, "invalid-input"),
        ("/models/timeseries?v=1", 422, "invalid-input"),
    ],
)
def test_what_there_is_not_is_told(client: Client, path: str, status: int, word: str) -> None:
    """As problems."""
    response = client.get(path)

    assert response.status_code == status
    assert response.json()["type"] == f"urn:heed:problem:{word}"


def test_ready_waits_for_the_models(tmp_path: Path) -> None:
    """Live at once; ready once at least one is served; 503 as a problem before."""
    with running(Settings(model_repository=tmp_path)) as client:
        live, ready = client.get("/v2/health/live"), client.get("/v2/health/ready")

    assert live.json() == {"live": True}
    assert ready.status_code == 503
    assert ready.headers["retry-after"] == "1"
    assert ready.json()["type"] == "urn:heed:problem:not-ready"


def test_ready_with_models(client: Client) -> None:
    """The protocol's document."""
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.post("/predict/timeseries", json={"sequence": SERIES}).status_code == 200
