"""The whole of an export, in process and as the command that users type."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import orjson
import pytest
from PIL import Image

from export import pipeline
from export.errors import AccuracyError
from export.fingerprint import fingerprint_of, is_published
from export.publishing import is_whole
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


QUICK_EXPORT = (
    "import sys, pathlib\n"
    "from export import pipeline\n"
    "from tests.export.quick import quick_series\n"
    "if __name__ == '__main__':\n"
    "    pipeline.export(quick_series(), pathlib.Path(sys.argv[1]), 'timeseries', 'cpu')\n"
)


def test_two_exports_of_the_same_at_once_publish_two_whole_versions(tmp_path: Path) -> None:
    """Neither takes the other's checkpoints, folder or number."""
    script = tmp_path / "quick_export.py"
    script.write_text(QUICK_EXPORT)
    repository = tmp_path / "repository"
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([sys.executable, str(script), str(repository)], env=settings, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip

    told = [process.communicate(timeout=120) for process in both]

    assert [process.returncode for process in both] == [0, 0], told
    published = sorted(path.name for path in (repository / "timeseries").iterdir())
    assert published == ["1", "2"]
    assert all(is_whole(repository / "timeseries" / name) for name in published)
    assert list((repository / ".runs").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "Starting"),
        (signal.SIGINT, "Training"),
        (signal.SIGINT, "Writing"),
        (signal.SIGTERM, "Training"),
    ],
)
def test_interrupted_it_leaves_no_version(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    """Ctrl-C and SIGTERM while it starts, trains and writes: a line, status 130, no half version, no folder left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "export", "timeseries", "--repository", str(tmp_path)],
        cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith(moment))

    process.send_signal(number)
    _, told = process.communicate(timeout=60)

    assert process.returncode == 130, told
    assert "Interrupted: nothing was published" in told
    assert "Traceback" not in told
    assert list(tmp_path.glob("timeseries/*")) == []


def test_killed_while_it_writes_it_leaves_no_process(tmp_path: Path) -> None:
    """SIGKILL reaches the parent alone: the process that writes the file notices and ends."""
    script = tmp_path / "quick_export.py"
    script.write_text(QUICK_EXPORT)
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "repository")], env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("Writing"))

    process.kill()

    # Read to its end: that comes when the last process that inherited the pipe has gone.
    assert "Published" not in process.communicate(timeout=60)[0]
    assert list((tmp_path / "repository").glob("timeseries/[0-9]*")) == []


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
    done = run_export(*arguments, "--repository", tmp_path / "repository")

    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "repository").glob("[a-z]*/[0-9]*"))


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
