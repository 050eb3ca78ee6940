"""From the start until every model is loaded: what answers already, what says that it does not yet."""

from pathlib import Path

from service.settings import Settings
from tests.service.client import problem
from tests.service.conftest import PIXEL, SERIES
from tests.service.loading import loading
from tests.service.tiny_models import image_model, publish, timeseries_model


def test_one_model_that_loads_holds_readiness_and_no_other_model(tmp_path: Path) -> None:
    """One of two is served, the other 503 with Retry-After, and so is ready; once it is loaded all are 200."""
    publish(tmp_path, "image", "1", image_model())
    held = publish(tmp_path, "timeseries", "1", timeseries_model(), [])
    paths = ["/predict/timeseries", "/predict/timeseries?version=1"]
    with loading(Settings(model_repository=tmp_path), held) as (client, release):
        client.wait_until_loaded("image")
        image = client.post("/predict/image", json={"image": PIXEL})
        ready = client.get("/v2/health/ready")
        early = [client.post(path, json={"sequence": SERIES}) for path in paths]
        early.append(client.get("/models/timeseries/samples"))
        release()
        client.wait_until_loaded()
        late = [client.post(path, json={"sequence": SERIES}) for path in paths]
        ready_then = client.get("/v2/health/ready")

    assert image.status_code == 200
    problem(ready, 503, "not-ready")
    for response in early:
        assert "still loading" in problem(response, 503, "loading")
        assert response.headers["retry-after"] == "1"
    assert [response.status_code for response in (*late, ready_then)] == [200, 200, 200]


def test_the_process_lives_while_its_models_load(tmp_path: Path) -> None:
    """Live, and what is found is listed as loading."""
    held = publish(tmp_path, "image", "1", image_model())
    with loading(Settings(model_repository=tmp_path), held) as (client, _):
        live = client.get("/v2/health/live")
        (model,) = client.get("/models").json()["models"]

    assert live.json() == {"live": True}
    assert (model["task"], model["default_version"]) == (None, None)
    assert model["versions"] == [{"version": "1", "status": "loading", "reason": None}]
