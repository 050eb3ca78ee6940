"""The whole of an export, in process and as the command that users type."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import orjson
import pytest
from PIL import Image
from typer.testing import CliRunner

from export import pipeline
from export.__main__ import app
from export.errors import AccuracyError
from export.fingerprint import fingerprint_of, is_published
from export.publishing import is_whole
from export.recipes import timeseries
from models.contract import read_contract
from tests.export.quick import PLAIN, QUICK_EXPORT, ROOT, quick_series, run_export


def test_the_texts_task_comes_out_as_the_text_has_it(published_series: Path) -> None:
    """Accuracy at least 0.999, a mean weight of at least one half at step 2, largest for 99 % of fresh samples."""
    figures = orjson.loads((published_series / "report" / "figures.json").read_bytes())

    assert figures["accuracy"] >= 0.999
    assert figures["mean_weights"][2] == max(figures["mean_weights"]) >= 0.5
    assert sum(figures["mean_weights"]) == pytest.approx(1)
    assert figures["largest_weight_at_column"] >= 0.99
    assert len(figures["epochs"]) == 1


def test_a_version_holds_model_samples_checksums_and_report(published_series: Path) -> None:
    """Everything that the service and a person need lies in one folder, and the sums hold."""
    names = {str(path.relative_to(published_series)) for path in published_series.rglob("*") if path.is_file()}
    pictures = {f"report/{name}.png" for name in ("mean_weights", "learning_curve", "confusion_matrix")}
    assert (
        names
        == {"model.onnx", "samples.json", "SHA256SUMS", "report/figures.json", "report/training_log_0.csv"} | pictures
    )
    for picture in pictures:
        with Image.open(published_series / picture) as drawn:
            assert drawn.size > (300, 200)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=published_series, check=True)
    samples = orjson.loads((published_series / "samples.json").read_bytes())["samples"]
    assert len(samples) == 12
    for sample in samples:
        assert sample["label"] == str(int(sample["body"]["sequence"][2][0]))


def test_the_contract_says_where_the_model_came_from(published_series: Path) -> None:
    """Recipe, data with hash, licence, commit or null, and the figures that people are shown."""
    model = onnx.load(published_series / "model.onnx")
    contract = read_contract({entry.key: entry.value for entry in model.metadata_props})

    assert contract.task == "timeseries"
    assert contract.labels == ("0", "1")
    assert contract.attention[0].model_dump() == {
        "output": "attention", "kind": "temporal", "axes": ("batch", "time", "unit"), "range": (0, 1),
        "sums_to_one_over": "time", "average": ("unit",),
    }  # fmt: skip
    assert {"recipe", "data", "data_sha256", "commit", "created", "licence"} <= set(contract.provenance)
    assert contract.card["accuracy"] >= 0.999


def test_the_same_again_does_nothing_unless_asked(published_series: Path) -> None:
    """`--unless-published` knows its own model by recipe, data and code; another seed is another model."""
    repository = published_series.parent.parent

    again = run_export("timeseries", "--repository", repository, "--unless-published")

    assert (again.returncode, again.stdout.strip()) == (0, f"{repository / 'timeseries'} is up to date")
    assert [path.name for path in published_series.parent.iterdir()] == ["1"]
    assert not is_published(quick_series(), published_series.parent)


def test_fingerprint_follows_the_recipe() -> None:
    """What would train another network has another fingerprint."""
    prints = {fingerprint_of(recipe) for recipe in (quick_series(1), quick_series(2), quick_series(1).with_epochs(2))}

    assert len(prints) == 3
    assert fingerprint_of(quick_series(1)) in prints


@pytest.mark.parametrize("changed", ["models/se_cnn.py", "export/datasets/column.py"])
def test_fingerprint_follows_the_code(tmp_path: Path, changed: str) -> None:
    """One byte in models/ or export/, or a new file there, and the model is made anew; tests do not count."""
    for folder in ("models", "export", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    before = fingerprint_of(quick_series(), tmp_path)
    (tmp_path / "tests" / "conftest.py").write_text("")
    assert fingerprint_of(quick_series(), tmp_path) == before

    with open(tmp_path / changed, "a") as file:
        file.write("#")

    assert fingerprint_of(quick_series(), tmp_path) != before


@pytest.mark.parametrize("damage", ["truncated", "rubbish", "no model", "another byte in samples.json"])
def test_a_damaged_version_is_not_taken_for_published(published_series: Path, tmp_path: Path, damage: str) -> None:
    """`make serve` then trains anew, rather than fail or leave the service a file that it refuses."""
    version = tmp_path / "timeseries" / "1"
    shutil.copytree(published_series, version)
    assert is_published(timeseries(), version.parent)
    model, samples = version / "model.onnx", version / "samples.json"
    match damage:
        case "truncated":
            model.write_bytes(model.read_bytes()[:-100])
        case "rubbish":
            model.write_bytes(b"nonsense")
        case "no model":
            model.unlink()
        case _:
            samples.write_bytes(samples.read_bytes() + b" ")

    assert not is_published(timeseries(), version.parent)


def test_below_the_floor_nothing_is_published(tmp_path: Path) -> None:
    """The accuracy decides, and the run's checkpoint stays for a look."""
    with pytest.raises(AccuracyError, match=r"accuracy 0\.\d+ is below the recipe's floor, 0\.999"):
        pipeline.export(replace(quick_series(), accuracy_floor=0.999), tmp_path, "timeseries", "cpu")

    assert list((tmp_path / "timeseries").iterdir()) == []


def test_an_image_model_is_published_with_both_gates_compared(published_image: Path) -> None:
    """`--compare-gates` trains the other gate beside it; the chosen one is published."""
    figures = orjson.loads((published_image / "report" / "figures.json").read_bytes())
    assert set(figures["gates"]) == {"gates_2", "gates_3", "gates_4", "gates_5"}
    assert set(figures["other_gates"]) == {"hard_swish"}
    assert figures["gates"]["gates_2"]["lowest"] >= 0
    assert figures["other_gates"]["hard_swish"]["gates"]["gates_2"]["lowest"] >= -0.375
    assert 0 <= figures["largest_contribution_in_box"] <= 1
    assert figures["random_cell_in_box"] == pytest.approx(0.16, abs=0.03)
    assert (published_image / "report" / "contribution_maps.png").is_file()
    contract = read_contract({e.key: e.value for e in onnx.load(published_image / "model.onnx").metadata_props})
    assert contract.attention[0].range == (0, 1)
    assert contract.input.fit == "pad"
    assert not list((published_image.parent.parent / ".runs").iterdir())


@pytest.fixture(scope="module")
def exported_twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Two processes export the same at once: the repository, and what each of them told."""
    folder = tmp_path_factory.mktemp("twice")
    script, repository = folder / "quick_export.py", folder / "repository"
    script.write_text(QUICK_EXPORT)
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([sys.executable, str(script), str(repository)], env=settings, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    return repository, [out for out, _ in told]


def test_two_exports_of_the_same_at_once_publish_two_whole_versions(exported_twice: tuple[Path, list[str]]) -> None:
    """Neither takes the other's checkpoints, folder or number."""
    repository, _ = exported_twice

    published = sorted(path.name for path in (repository / "timeseries").iterdir())
    assert published == ["1", "2"]
    assert all(is_whole(repository / "timeseries" / name) for name in published)
    assert list((repository / ".runs").iterdir()) == []


def test_a_weight_that_settles_elsewhere_is_said_and_published(exported_twice: tuple[Path, list[str]]) -> None:
    """After nine batches the weight is not at the known column yet: a line, a figure, and a version."""
    repository, told = exported_twice

    figures = orjson.loads((repository / "timeseries" / "1" / "report" / "figures.json").read_bytes())
    assert figures["largest_mean_weight_at"] != 2
    line = f"the largest mean weight is at step {figures['largest_mean_weight_at']}, not at step 2"
    assert all(line in out for out in told)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["timeseries", "--attention-column", "10"], "10 is no step of 0 to 9"),
        (["timeseries", "--samples", "10"], "--samples"),
        (["timeseries", "--head", "wide"], "--head"),
        (["image", "--data", "cifar"], "--data"),
        (["image", "--gate", "sigmoid"], "--gate"),
        (["image", "--epochs", "0"], "--epochs"),
        (["timeseries", "--device", "abacus"], "--device"),
        (["timeseries", "--device", "gpu:99"], "--device gpu:99"),
        (["timeseries", "--name", "../up"], "is no model name"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, arguments: list[str], told: str) -> None:
    """Status not 0, the option in the message, no stack trace, nothing written."""
    done = CliRunner().invoke(app, [*arguments, "--repository", str(tmp_path / "repository")], env=PLAIN)

    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "repository").glob("[a-z]*/[0-9]*"))


def test_a_wrong_option_ends_the_process(tmp_path: Path) -> None:
    """As a user calls it: the status of the command, and no stack trace."""
    done = run_export("timeseries", "--samples", "10", "--repository", tmp_path / "repository")

    assert done.returncode != 0
    assert "--samples" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "repository").exists()


def test_help_teaches() -> None:
    """Every option of the command is there with a sentence."""
    told = "".join(CliRunner().invoke(app, [task, "--help"], env=PLAIN).stdout for task in ("timeseries", "image"))

    for option in ("data", "repository", "seed", "epochs", "device", "samples", "time-steps", "features",
                   "attention-column", "gate", "compare-gates"):  # fmt: skip
        assert f"--{option}" in told


@pytest.mark.training
def test_digits_comes_out_as_promised(tmp_path: Path) -> None:
    """Accuracy at least 0.985; the largest contribution in the digit's box for at least 98 % of test pictures."""
    done = run_export("image", "--repository", tmp_path)

    assert done.returncode == 0, done.stderr
    figures = orjson.loads((tmp_path / "image" / "1" / "report" / "figures.json").read_bytes())
    assert figures["accuracy"] >= 0.985
    assert figures["parameters"] < 100_000
    assert figures["largest_contribution_in_box"] >= 0.98 > figures["random_cell_in_box"] + 0.5
