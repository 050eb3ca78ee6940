"""Where the weight settles: the text's task for several columns and seeds, every run listed, as a Markdown table."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from export import recipes
from export.datasets.column import Column
from export.figures import look_at_column, measure
from export.training import train
from models.attention_lstm import Head

HEADER = (
    "| column | seed | accuracy | mean weight there | largest weight there | largest contribution there | seconds |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def row(column: int, seed: int, head: Head) -> str:
    """One training run as a row of the table."""
    recipe = recipes.timeseries(seed=seed, attention_column=column, head=head)
    with TemporaryDirectory() as folder:
        trained = train(recipe, Path(folder), "cpu")
    accuracy = measure(recipe, trained.network).accuracy
    assert isinstance(recipe.data, Column)
    looked, _ = look_at_column(trained.network, recipe.data)
    return (
        f"| {column} | {seed} | {accuracy:.4f} | {looked['mean_weight_at_column']:.3f} "
        f"| {looked['largest_weight_at_column']:.1%} | {looked['largest_contribution_at_column']:.1%} "
        f"| {trained.seconds:.1f} |"
    )


def main() -> None:
    """Print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, nargs="+", default=[0, 2, 5, 9])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--head", choices=get_args(Head), default="flatten")
    arguments = parser.parse_args()
    print(HEADER, flush=True)
    for column in arguments.columns:
        for seed in arguments.seeds:
            print(row(column, seed, arguments.head), flush=True)


if __name__ == "__main__":
    main()
