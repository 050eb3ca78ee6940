"""The repository: what is found, what is refused and why, which version answers."""

import os
from pathlib import Path

import pytest

from service.problems import InvalidInput, ModelLoading, UnknownModel, UnknownVersion
from service.repository import Repository
from tests.service.batching import batcher_of
from tests.service.joined import loaded
from tests.service.tiny_models import image_model, publish, timeseries_model

MODEL = timeseries_model()


def reason(folder: Path) -> str:
    """Why the one version of the one model is refused."""
    found = loaded(folder).version_of("timeseries", "1")
    assert found.status == "refused"
    assert found.reason
    assert str(folder) not in found.reason
    return found.reason


def test_folders_that_are_no_versions_are_passed_over(tmp_path: Path) -> None:
    """Only canonical numbers below well-named folders count."""
    publish(tmp_path, "timeseries", "10", MODEL)
    publish(tmp_path, "timeseries", "9", MODEL)
    for name in ("01", "v2", ".3", "1.0", "-1", "٣", "latest"):
        publish(tmp_path, "timeseries", name, MODEL)
    for name in (".hidden", "with space", "é"):
        publish(tmp_path, name, "1", MODEL)
    (tmp_path / "empty").mkdir()
    (tmp_path / "README").write_text("")
    (tmp_path / "timeseries" / "7").write_text("a file")

    repository = loaded(tmp_path)

    assert {name: list(versions) for name, versions in repository.versions.items()} == {"timeseries": ["9", "10"]}


def test_highest_served_version_answers(tmp_path: Path) -> None:
    """By number, not by letter, and a refused one does not count."""
    for version in ("2", "9", "10"):
        publish(tmp_path, "timeseries", version, MODEL)
    (publish(tmp_path, "timeseries", "11", MODEL) / "model.onnx").write_bytes(b"other")

    repository = loaded(tmp_path)

    assert repository.served("timeseries", None).version == "10"
    assert repository.served("timeseries", "2").version == "2"
    with pytest.raises(UnknownVersion, match="version 11 of model 'timeseries' was refused: the sha256"):
        repository.served("timeseries", "11")
    with pytest.raises(UnknownVersion, match="no version '3', it has 2, 9, 10, 11"):
        repository.served("timeseries", "3")
    with pytest.raises(UnknownModel):
        repository.served("image", None)
    with pytest.raises(InvalidInput, match="task timeseries"):
        repository.served_for("image", "timeseries", None)


def test_other_models_are_served_beside_a_refused_one(tmp_path: Path) -> None:
    """And it does not hold readiness."""
    publish(tmp_path, "timeseries", "1", b"nonsense")
    publish(tmp_path, "image", "1", image_model())

    repository = loaded(tmp_path)

    assert repository.is_ready
    assert repository.served("image", None).contract.task == "image"
    with pytest.raises(UnknownModel, match="refused when it was loaded"):
        repository.served("timeseries", None)


def test_nothing_is_handed_out_before_it_is_loaded(tmp_path: Path) -> None:
    """Found and not loaded: try again."""
    publish(tmp_path, "timeseries", "1", MODEL)
    repository = Repository(tmp_path, batcher_of)
    repository.discover()

    assert not repository.is_ready
    for version in (None, "1"):
        with pytest.raises(ModelLoading) as raised:
            repository.served("timeseries", version)
        assert raised.value.headers == {"Retry-After": "1"}


def test_nothing_served_is_not_ready(tmp_path: Path) -> None:
    """An empty repository, or only refused models."""
    assert not loaded(tmp_path).is_ready

    publish(tmp_path, "timeseries", "1", b"nonsense")
    assert not loaded(tmp_path).is_ready


def test_checksums_are_held(tmp_path: Path) -> None:
    """Missing, without the file's line, or with another sum: refused, each with its reason."""
    folder = publish(tmp_path, "timeseries", "1", MODEL, [])
    sums = (folder / "SHA256SUMS").read_text()

    (folder / "SHA256SUMS").unlink()
    assert reason(tmp_path) == "there is no SHA256SUMS"
    (folder / "SHA256SUMS").write_text(sums.partition("\n")[2])
    assert reason(tmp_path) == "SHA256SUMS has no line for model.onnx"
    (folder / "SHA256SUMS").write_text(sums.partition("\n")[0])
    assert reason(tmp_path) == "SHA256SUMS has no line for samples.json"
    (folder / "SHA256SUMS").write_text(sums)
    (folder / "samples.json").write_text("{}")
    assert reason(tmp_path) == "the sha256 of samples.json is not the one in SHA256SUMS"
    (folder / "samples.json").unlink()
    assert reason(tmp_path) == "there is no samples.json"


def test_checksums_as_sha256sum_writes_them(tmp_path: Path) -> None:
    """Binary mark, capitals, other files' lines and blank lines are read."""
    folder = publish(tmp_path, "timeseries", "1", MODEL)
    digest = (folder / "SHA256SUMS").read_text().split()[0]
    (folder / "SHA256SUMS").write_text(f"\n{'0' * 64}  other.txt\nnonsense\n{digest.upper()} *model.onnx\r\n")

    assert loaded(tmp_path).served("timeseries", "1").samples is None


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"samples": 5}', b"\xff"])
def test_samples_that_are_none_refuse_the_version(tmp_path: Path, content: bytes) -> None:
    """Published with a right checksum and a wrong form."""
    folder = publish(tmp_path, "timeseries", "1", MODEL)
    publish(tmp_path, "other", "1", content)
    (folder / "samples.json").write_bytes(content)
    digest = (tmp_path / "other" / "1" / "SHA256SUMS").read_text().split()[0]
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{digest}  samples.json\n")

    assert reason(tmp_path) == 'samples.json is not {"samples": […]}'


def test_missing_or_unreadable_model_is_refused(tmp_path: Path) -> None:
    """A version folder without its file, or with a folder in its place."""
    folder = tmp_path / "timeseries" / "1"
    folder.mkdir(parents=True)
    assert reason(tmp_path) == "there is no model.onnx"

    (folder / "model.onnx").mkdir()
    assert reason(tmp_path) == f"model.onnx cannot be read: {os.strerror(21)}"
