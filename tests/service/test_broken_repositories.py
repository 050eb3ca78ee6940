"""Repositories that somebody broke: what is not a plain file, is far too large, or has samples of another form."""

import asyncio
import hashlib
import os
import re
import signal
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from service.repository import Repository
from service.settings import Settings
from service.trial import Limits, Trials
from service.version_files import RefusedError, read_version
from tests.service.batching import batcher_of
from tests.service.client import running
from tests.service.joined import loaded
from tests.service.processes import finished, greeting, process
from tests.service.tiny_models import publish, timeseries_model

MODEL = timeseries_model()


def reason(folder: Path) -> str:
    """Why the one version of the one model is refused."""
    found = loaded(folder).version_of("timeseries", "1")
    assert found.status == "refused"
    assert found.reason
    assert str(folder) not in found.reason
    return found.reason


PLACES: list[Callable[[Path], None]] = [
    lambda path: os.mkfifo(path),
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/null"),
]


@pytest.mark.parametrize("name", ["model.onnx", "samples.json", "SHA256SUMS"])
@pytest.mark.parametrize("put", PLACES, ids=["pipe", "zeros", "null"])
def test_only_plain_files_are_read(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    """A named pipe would be waited for, and a device has no end."""
    folder = publish(tmp_path, "timeseries", "1", MODEL, [])
    (folder / name).unlink()
    put(folder / name)

    assert reason(tmp_path) == f"{name} is not a regular file"


def test_process_with_a_pipe_for_a_model_ends(tmp_path: Path) -> None:
    """It serves the others, and a signal ends it."""
    os.mkfifo(publish(tmp_path, "a", "1", MODEL).joinpath("samples.json"))
    publish(tmp_path, "timeseries", "1", MODEL, [])
    with process(tmp_path) as started:
        greeting(started, lines=1)
        started.send_signal(signal.SIGTERM)
        status, _, _ = finished(started)

    assert status == 0


@pytest.mark.parametrize(("name", "size"), [("model.onnx", 2**31), ("samples.json", 8 * 2**20), ("SHA256SUMS", 2**20)])
def test_size_of_what_is_read_is_bounded(tmp_path: Path, name: str, size: int) -> None:
    """Found before it is held in memory."""
    folder = publish(tmp_path, "timeseries", "1", MODEL, [])
    os.truncate(folder / name, size + 1)

    assert reason(tmp_path) == f"{name} has {size + 1} bytes, at most {size} are read"


def test_model_that_its_trial_could_not_hold_is_not_read(tmp_path: Path) -> None:
    """The limit on memory is one on the file as well."""
    folder = publish(tmp_path, "timeseries", "1", MODEL)
    os.truncate(folder / "model.onnx", 64 * 2**20 + 1)
    repository = Repository(tmp_path, batcher_of, trials=Trials(Limits(memory_mb=64)))

    (verdict,) = asyncio.run(repository.examined("timeseries")).values()

    assert verdict.reason == "model.onnx has 67108865 bytes, at most 67108864 are read"


def test_large_model_with_a_wrong_checksum_costs_little_memory(tmp_path: Path) -> None:
    """It is not held while its checksum is taken."""
    folder = publish(tmp_path, "timeseries", "1", MODEL)
    os.truncate(folder / "model.onnx", 64 * 2**20)
    tracemalloc.start()
    with pytest.raises(RefusedError, match=r"^the sha256 of model.onnx is not the one in SHA256SUMS$"):
        read_version(tmp_path, "timeseries", "1")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2 * 2**20


def test_file_that_is_exchanged_after_its_checksum_was_taken_does_not_run(tmp_path: Path) -> None:
    """What was checked runs, or nothing."""
    folder = publish(tmp_path, "timeseries", "1", MODEL)
    files = read_version(tmp_path, "timeseries", "1")
    before = files.read_model()
    (folder / "model.onnx").write_bytes(MODEL[:-1] + b"!")

    with pytest.raises(RefusedError, match=r"^model.onnx changed while it was read$"):
        files.read_model()
    assert before == MODEL


def test_samples_of_very_many_values_are_not_parsed(tmp_path: Path) -> None:
    """However short each is: other requests would wait for the parser."""
    publish(tmp_path, "timeseries", "1", MODEL, [{"label": "1", "body": {"sequence": [1] * 2**18}}])

    assert re.fullmatch(r"samples.json has about 2621\d\d values, at most 262144 are read", reason(tmp_path))


@pytest.mark.parametrize(
    "sample",
    [1, None, [], {}, {"label": "1"}, {"body": {}}, {"label": 1, "body": {}}, {"label": "1", "body": []}],
)
def test_samples_of_another_form_refuse_the_version(tmp_path: Path, sample: Any) -> None:
    """Each is a label and a request body; the complaint says which is not."""
    publish(tmp_path, "timeseries", "1", MODEL, [{"label": "1", "body": {}}, sample])

    assert reason(tmp_path) == 'samples[1] of samples.json is not {"label": "…", "body": {…}}'


@pytest.mark.parametrize("content", [b'{"samples": [NaN]}', b'"abc"', b"\0"])
def test_samples_that_are_no_strict_json_refuse_the_version(tmp_path: Path, content: bytes) -> None:
    """With a right checksum."""
    folder = publish(tmp_path, "timeseries", "1", MODEL)
    (folder / "samples.json").write_bytes(content)
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(content).hexdigest()}  samples.json\n")

    assert reason(tmp_path) == 'samples.json is not {"samples": […]}'


@pytest.mark.parametrize("has_model", [False, True])
def test_nothing_served_is_warned_about_once(tmp_path: Path, has_model: bool) -> None:
    """After loading, with the reason."""
    if has_model:
        publish(tmp_path, "timeseries", "1", b"nonsense")
    with structlog.testing.capture_logs() as lines:
        loaded(tmp_path)

    why = "every version found was refused" if has_model else "the repository has none"
    assert [line["event"] for line in lines if line["event"] != "model refused"] == [f"no model is served: {why}"]


def test_card_with_a_number_of_any_length_is_shown(tmp_path: Path) -> None:
    """Python reads it, and no JSON writer of 64 bits could write it."""
    publish(tmp_path, "timeseries", "1", timeseries_model(changes={"card": {"parameters": 10**40}}))
    with running(Settings(model_repository=tmp_path)) as client:
        response = client.get("/models/timeseries")

    assert response.status_code == 200
    assert response.json()["card"] == {"parameters": 1e40}
