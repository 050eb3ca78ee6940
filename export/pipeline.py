"""One export: train, measure, write, check, report, publish. Nothing is published before everything has held."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from export import checks, onnx_file, publishing
from export.contracts import contract_of
from export.datasets.dataset import Dataset, Samples
from export.errors import AccuracyError, PublishingError
from export.figures import Figures, measure
from export.fingerprint import fingerprint_of
from export.recipes import Recipe
from export.report import write_report
from export.training import Trained, train
from models.layout import MODEL_FILE, SAMPLES_FILE
from models.se_cnn import GATES, SECNNSizes

PUBLISHED_SAMPLES = 12
RUNS = ".runs"


def export(recipe: Recipe, repository: Path, name: str, device: str = "auto", compare_gates: bool = False) -> Path:
    """Make the recipe's model and publish it. Returns the new version's folder.

    Raises ExportError, ContractError or OSError; then nothing was published.
    """
    fingerprint = fingerprint_of(recipe)
    with (
        publishing.incoming(repository, name) as folder,
        _run_folder(repository / RUNS, fingerprint) as run,
    ):
        trained, figures = _train(recipe, run, device)
        others = _train_other_gates(recipe, run, device) if compare_gates else {}
        _write_model(recipe, trained, figures, fingerprint, folder)
        say("Checking the file against the network")
        details = checks.check(folder / MODEL_FILE, trained.network, figures.samples.inputs[:32])
        _say_what_attention_costs(details["operators"])
        _write_samples(recipe.data, figures.samples, folder / SAMPLES_FILE)
        say("Drawing the report")
        write_report(folder / "report", recipe, trained, figures, others, details)
        version = publishing.publish(folder)
        shutil.rmtree(run)  # only now: until here an interruption costs no training
    say(f"Published {version}")
    return version


def say(line: str) -> None:
    """A line for the person who waits."""
    print(line, flush=True)


def _say_what_attention_costs(operators: dict[str, dict[str, int]]) -> None:
    added, lost = operators["added"], operators["lost"]
    listed = ", ".join(f"{count} {name}" for name, count in lost.items())
    say(f"Operators that the attention outputs add: {sum(added.values())}; optimizations lost: {listed or 'none'}")


def _train(recipe: Recipe, run: Path, device: str) -> tuple[Trained, Figures]:
    epochs = recipe.budget.epochs
    say(f"Training {recipe.task} on {recipe.data.card().name}: {epochs} epoch{'s' if epochs > 1 else ''}")
    trained = train(recipe, run, device)
    figures = measure(recipe, trained.network)
    say(f"Accuracy {figures.accuracy:.4f} on {len(figures.samples):,} held-out samples, {trained.seconds:.1f} s")
    for line in _where_it_looks(figures.card):
        say(line)
    if figures.accuracy < recipe.accuracy_floor:
        raise AccuracyError(f"accuracy {figures.accuracy:.4f} is below the recipe's floor, {recipe.accuracy_floor}")
    return trained, figures


def _where_it_looks(card: dict[str, Any]) -> Iterator[str]:
    if "attention_column" in card:
        known, found = card["attention_column"], card["largest_mean_weight_at"]
        yield f"Mean attention weight at step {known}: {card['mean_weight_at_column']:.3f}"
        if found != known:
            yield (
                f"Note: the largest mean weight is at step {found}, not at step {known}, which tells the label. "
                "The accuracy holds; another seed may settle there."
            )
    if "largest_contribution_in_box" in card:
        share, chance = card["largest_contribution_in_box"], card["random_cell_in_box"]
        yield f"Largest contribution inside the known box: {share:.1%} of pictures (a random cell: {chance:.1%})"


def _train_other_gates(recipe: Recipe, run: Path, device: str) -> dict[str, Figures]:
    """The same recipe with every other gate, for comparison. Their accuracy decides about nothing."""
    if not isinstance(recipe.sizes, SECNNSizes):
        return {}
    others = {}
    for gate in GATES:
        if gate != recipe.sizes.gate:
            say(f"For comparison, with {gate} gates")
            other = replace(recipe, sizes=replace(recipe.sizes, gate=gate), accuracy_floor=0.0)
            _, others[str(gate)] = _train(other, run / gate, device)
    return others


def _write_model(recipe: Recipe, trained: Trained, figures: Figures, fingerprint: str, folder: Path) -> None:
    say("Writing the ONNX file")
    card = figures.card | {"training_seconds": round(trained.seconds, 1)}
    example = figures.samples.inputs[0]
    onnx_file.write(trained.network, contract_of(recipe, fingerprint, card), example, folder / MODEL_FILE)


def _write_samples(data: Dataset, samples: Samples, path: Path) -> None:
    chosen = samples.first(PUBLISHED_SAMPLES)
    listed = [
        {"label": data.labels[target], "body": data.request_body(row)}
        for row, target in zip(chosen.inputs, chosen.targets, strict=True)
    ]
    path.write_bytes(orjson.dumps({"samples": listed}, option=orjson.OPT_SERIALIZE_NUMPY))


@contextlib.contextmanager
def _run_folder(runs: Path, fingerprint: str) -> Iterator[Path]:
    """The folder of this recipe's checkpoints, found again after an interruption. Another export of the same recipe at
    the same time gets one of its own."""
    with contextlib.ExitStack() as held:
        for number in range(100):
            run = runs / f"{fingerprint[:16]}-{number}"
            run.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(publishing.locked(run, wait=False))
            except (BlockingIOError, FileNotFoundError):  # another export is at work there, or has just removed it
                continue
            yield run
            return
    raise PublishingError(f"a hundred exports of this recipe are running in {runs}")
