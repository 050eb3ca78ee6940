"""python -m export timeseries | image: train a network and publish it as ONNX with its attention as outputs."""

import os

# Threads that wait spinning beside a busy process slow training many times over. OpenMP reads this when torch loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from export import recipes
from export.errors import ExportError
from export.fingerprint import is_published
from models.attention_lstm import Head
from models.contract import ContractError
from models.se_cnn import Gate

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="""
Train a small attention network, check it, and publish it into the model repository:
`<repository>/<name>/<version>/` with `model.onnx`, `samples.json`, `SHA256SUMS` and `report/`.

The file answers with its prediction **and** with where the network looked. It is compared with torch before anything
is published; below the recipe's accuracy, or with any check failed, nothing is, and the exit status is 1.

A run that was interrupted goes on after its last whole epoch when the same command is given again.
""",
)

DEVICE = re.compile(r"auto|cpu|(gpu|cuda|mps)(:[0-9]+)?")

Repository = Annotated[Path, typer.Option(help="The model repository's folder; it is made where it is missing.")]
Name = Annotated[
    str | None, typer.Option(help="The model's name in the repository.", show_default="the command's name")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the weights, the data's order and generated data. Repeatable.")]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, help="Passes over the training data.", show_default="the recipe's"),
]
Device = Annotated[str, typer.Option(help="What to train on: auto, cpu, gpu, mps, or one of several, like gpu:1.")]
Unless = Annotated[
    bool,
    typer.Option(
        "--unless-published",
        help="Do nothing where the newest version was made by the same recipe, data and code.",
    ),
]


@dataclass(frozen=True)
class Options:
    """What was asked for, whatever the network."""

    repository: Path
    name: str
    device: str
    epochs: int | None
    unless_published: bool
    compare_gates: bool = False


@app.command()
def timeseries(
    data: Annotated[
        recipes.SeriesData, typer.Option(help="column: generated series in which one step tells all.")
    ] = "column",
    repository: Repository = Path("model_repository"),
    name: Name = None,
    seed: Seed = recipes.TIMESERIES_SEED,
    epochs: Epochs = None,
    device: Device = "auto",
    samples: Annotated[
        int, typer.Option(min=640, help="Samples to generate, at least 640; a tenth is held out.")
    ] = 100_000,
    time_steps: Annotated[int, typer.Option(min=2, max=1000, help="Steps of each series.")] = 10,
    features: Annotated[int, typer.Option(min=1, max=1000, help="Values at each step.")] = 2,
    attention_column: Annotated[int, typer.Option(min=0, help="The step, from 0, that tells the label.")] = 2,
    head: Annotated[
        Head,
        typer.Option(help="flatten: the text's. context: the sum over time, which cannot undo the attention."),
    ] = "flatten",
    unless_published: Unless = False,
) -> None:
    """An **attention-LSTM** for time series: one weight for each step and unit.

    The default is the text's own task: 100,000 series of 10 steps, one epoch, about ten seconds.
    """
    if attention_column >= time_steps:
        raise typer.BadParameter(
            f"{attention_column} is no step of 0 to {time_steps - 1}", param_hint="--attention-column"
        )
    recipe = recipes.timeseries(seed, samples, time_steps, features, attention_column, head)
    _export(recipe, Options(repository, name or "timeseries", device, epochs, unless_published))


@app.command()
def image(
    data: Annotated[
        recipes.ImageData,
        typer.Option(
            help="digits: bundled, on a canvas among clutter. mnist, fashion-mnist: from the folder "
            "that HEED_DATA names, else downloaded."
        ),
    ] = "digits",
    repository: Repository = Path("model_repository"),
    name: Name = None,
    seed: Seed = recipes.IMAGE_SEED,
    epochs: Epochs = None,
    device: Device = "auto",
    gate: Annotated[
        Gate, typer.Option(help="hard_sigmoid: gates in 0 to 1. hard_swish: -0.375 and up, a channel's sign can turn.")
    ] = "hard_sigmoid",
    compare_gates: Annotated[
        bool, typer.Option("--compare-gates", help="Train the other gate too and report both; --gate is published.")
    ] = False,
    unless_published: Unless = False,
) -> None:
    """An **SE-CNN** for pictures: a gate for each channel, and an exact share of every place in each label's logit."""
    recipe = recipes.image(data, seed, gate)
    _export(recipe, Options(repository, name or "image", device, epochs, unless_published, compare_gates))


def _export(recipe: recipes.Recipe, options: Options) -> None:
    if not DEVICE.fullmatch(options.device):
        raise typer.BadParameter(f"'{options.device}' is not auto, cpu, gpu, mps, or gpu:NUMBER", param_hint="--device")
    recipe = recipe.with_epochs(options.epochs)
    try:
        if options.unless_published and is_published(recipe, options.repository / options.name):
            print(f"{options.repository / options.name} is up to date")
            return
        print("Starting torch and Lightning", flush=True)
        from export import pipeline  # takes seconds to import, which a model that is up to date need not wait for

        pipeline.export(recipe, options.repository, options.name, options.device, options.compare_gates)
    except (ExportError, ContractError, OSError) as failure:
        _fail(f"Nothing was published: {failure}")
    except KeyboardInterrupt:
        _fail("Interrupted: nothing was published. The same command goes on after the last whole epoch.", status=130)


def _fail(line: str, status: int = 1) -> NoReturn:
    print(line, file=sys.stderr)
    raise typer.Exit(status)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like Ctrl-C, so that the unfinished folder is removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    app()
