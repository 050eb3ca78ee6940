"""Files that attack: each is refused with its reason, in time; the process lives, and the others are served."""

import json
import time
from pathlib import Path

import pytest

from tests.service.control_client import asked
from tests.service.hostile_models import HOSTILE
from tests.service.processes import greeting, port_of, process
from tests.service.tiny_models import publish, timeseries_model
from tests.service.wire import BODY, get

REFUSED_SECONDS = 10


def test_each_is_refused_with_its_reason_and_in_time(tmp_path: Path) -> None:
    """One after another, by load, in a running service; meanwhile and after all of them the good one answers."""
    publish(tmp_path, "timeseries", "1", timeseries_model())
    taken: dict[str, float] = {}
    with process(tmp_path, HEED_WORKERS="2", HEED_MODEL_CONTROL="explicit", HEED_MODEL_TRIAL_SECONDS="4") as started:
        port = port_of(greeting(started, 1))
        for number, (what, hostile) in enumerate(HOSTILE.items()):
            name = f"hostile{number}"
            hostile.put(tmp_path)
            (tmp_path / "hostile").rename(tmp_path / name)
            began = time.monotonic()
            status, document = asked(port, f"/v2/repository/models/{name}/load")
            taken[what] = time.monotonic() - began

            assert (status, document["type"]) == (400, "urn:heed:problem:model-refused"), what
            assert hostile.reason in document["detail"], what
            assert str(tmp_path) not in document["detail"], what
            assert asked(port, "/predict/timeseries", BODY)[0] == 200, what
        listed = {one["name"]: one for one in json.loads(get(port, "/models")[1])["models"]}

    assert max(taken.values()) < REFUSED_SECONDS
    assert {one["versions"][0]["status"] for name, one in listed.items() if name != "timeseries"} == {"refused"}
    assert len(listed) == len(HOSTILE) + 1


@pytest.mark.parametrize("what", ["never ends", "truncated"])
def test_at_the_start_too(tmp_path: Path, what: str) -> None:
    """Ready without it, and it is shown with its reason."""
    publish(tmp_path, "timeseries", "1", timeseries_model())
    HOSTILE[what].put(tmp_path)
    with process(tmp_path, HEED_MODEL_TRIAL_SECONDS="1") as started:
        began = time.monotonic()
        port = port_of(greeting(started, 1))
        seconds = time.monotonic() - began
        models = {one["name"]: one for one in json.loads(get(port, "/models")[1])["models"]}
        status, _ = asked(port, "/predict/timeseries", BODY)

    assert status == 200
    assert models["hostile"]["versions"][0]["status"] == "refused"
    assert HOSTILE[what].reason in models["hostile"]["versions"][0]["reason"]
    assert seconds < REFUSED_SECONDS
