"""The whole of an export, in process and as the command that users type."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import onnx
import orjson
import pytest
from PIL import Image

from export import pipeline
from export.errors import AccuracyError
from export.fingerprint import fingerprint, is_published
from export.recipes import timeseries
from models.contract import read_contract
from tests.export.quick import ROOT, quick_image, quick_series, run_export


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
    assert names == {"model.onnx", "samples.json", "SHA256SUMS", "report/figures.json"} | pictures
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


def test_fingerprint_follows_recipe_and_code() -> None:
    """What would train another network has another fingerprint."""
    prints = {fingerprint(quick_series(1)), fingerprint(quick_series(2)), fingerprint(quick_series(1).with_epochs(2))}

    assert len(prints) == 3
    assert fingerprint(quick_series(1)) in prints


def test_below_the_floor_nothing_is_published(tmp_path: Path) -> None:
    """The accuracy decides, and the run's checkpoint stays for a look."""
    with pytest.raises(AccuracyError, match=r"accuracy 0\.\d+ is below the recipe's floor, 0\.999"):
        pipeline.export(replace(quick_series(), accuracy_floor=0.999), tmp_path, "timeseries", "cpu")

    assert list((tmp_path / "timeseries").iterdir()) == []


def test_a_weight_that_settles_elsewhere_is_said_and_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After nine batches the weight is not at the known column yet: a line, a figure, and a version."""
    recipe = replace(timeseries(samples=640), accuracy_floor=0.0)

    version = pipeline.export(recipe, tmp_path, "timeseries", "cpu")

    figures = orjson.loads((version / "report" / "figures.json").read_bytes())
    assert figures["largest_mean_weight_at"] != 2
    assert (
        f"the largest mean weight is at step {figures['largest_mean_weight_at']}, not at step 2"
        in capsys.readouterr().out
    )


def test_an_image_model_is_published_with_both_gates_compared(tmp_path: Path) -> None:
    """`--compare-gates` trains the other gate beside it; the chosen one is published."""
    version = pipeline.export(quick_image(), tmp_path, "image", "cpu", compare_gates=True)

    figures = orjson.loads((version / "report" / "figures.json").read_bytes())
    assert set(figures["gates"]) == {"gates_2", "gates_3", "gates_4", "gates_5"}
    assert set(figures["other_gates"]) == {"hard_swish"}
    assert figures["gates"]["gates_2"]["lowest"] >= 0
    assert figures["other_gates"]["hard_swish"]["gates"]["gates_2"]["lowest"] >= -0.375
    assert 0 <= figures["largest_contribution_in_box"] <= 1
    assert figures["random_cell_in_box"] == pytest.approx(0.16, abs=0.03)
    assert (version / "report" / "contribution_maps.png").is_file()
    contract = read_contract({e.key: e.value for e in onnx.load(version / "model.onnx").metadata_props})
    assert contract.attention[0].range == (0, 1)
    assert contract.input.fit == "pad"
    assert not list((tmp_path / ".runs").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_version(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM in the middle of training: status not 0, no half version, no folder left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "export", "timeseries", "--repository", str(tmp_path), "--epochs", "50"],
        cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Training"):
            break
    time.sleep(2)  # somewhere in the first epoch; wherever it is, the outcome is the same

    process.send_signal(number)
    process.communicate(timeout=60)

    assert process.returncode != 0
    assert list((tmp_path / "timeseries").iterdir()) == []


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
        (["timeseries", "--name", "../up"], "is no model name"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, arguments: list[str], told: str) -> None:
    """Status not 0, the option in the message, no stack trace, nothing written."""
    done = run_export(*arguments, "--repository", tmp_path / "repository")

    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "repository").glob("*/[0-9]*"))


def test_help_teaches() -> None:
    """Every option of the command is there with a sentence."""
    told = run_export("timeseries", "--help").stdout + run_export("image", "--help").stdout

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
