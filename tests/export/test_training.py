"""Training is repeatable, goes on after an interruption, and measures what it says."""

from pathlib import Path

import lightning
import numpy as np
import pytest
import torch

from export.evaluation import evaluate
from export.recipes import Recipe
from export.training import Trained, train
from tests.export.quick import quick_image, quick_series


def _weights(recipe: Recipe, folder: Path) -> dict[str, torch.Tensor]:
    return train(recipe, folder, "cpu").network.state_dict()


def test_a_seed_makes_a_run_repeatable(tmp_path: Path) -> None:
    """The same recipe gives the same weights; another seed gives others."""
    first, again, other = (
        _weights(quick_series(seed), tmp_path / name) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["lstm.weight_ih_l0"], other["lstm.weight_ih_l0"])


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped after the first epoch and started again: the same weights and the whole learning curve."""
    recipe = quick_image()
    whole = train(recipe, tmp_path / "whole", "cpu")

    class Interrupted(Exception):
        pass

    class StopsAfterOneEpoch(type(recipe.data)):  # type: ignore[misc]
        """The same data, which fails when the second epoch asks for it."""

        asked = 0

        def epoch(self, random: np.random.Generator) -> object:
            type(self).asked += 1
            if type(self).asked == 2:
                raise Interrupted
            return super().epoch(random)

    failing = Recipe(**{**recipe.__dict__, "data": StopsAfterOneEpoch(**_fields(recipe))})
    with pytest.raises(Interrupted):
        train(failing, tmp_path / "broken", "cpu")
    resumed = train(recipe, tmp_path / "broken", "cpu")

    assert "Going on from" in capsys.readouterr().out
    assert [epoch["epoch"] for epoch in resumed.curve] == [1, 2]
    assert resumed.curve == whole.curve
    assert len(resumed.logs) == 2
    expected = whole.network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.network.state_dict().items())


def _fields(recipe: Recipe) -> dict[str, object]:
    return {name: getattr(recipe.data, name) for name in type(recipe.data).__dataclass_fields__}  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    """One epoch, and its run's folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(quick_image().with_epochs(1), folder, "cpu"), folder


@pytest.mark.parametrize("left", [0, 1, 1000, -1])
def test_a_checkpoint_that_was_cut_short_is_not_gone_on_from(
    undisturbed: tuple[Trained, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], left: int
) -> None:
    """Training begins anew, says so, and ends as it should."""
    trained, folder = undisturbed
    expected = trained.network.state_dict()
    (tmp_path / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:left])

    weights = _weights(quick_image().with_epochs(1), tmp_path)

    assert "training begins anew" in capsys.readouterr().out
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())


def test_a_log_and_a_checkpoint_are_kept(tmp_path: Path) -> None:
    """The log names every figure; the checkpoint is there after each epoch."""
    trained = train(quick_image(), tmp_path, "cpu")

    log = trained.logs[0].read_text()
    assert {"train_loss", "validation_loss", "validation_accuracy"} <= set(log.splitlines()[0].split(","))
    assert (tmp_path / "last.ckpt").is_file()
    assert len(trained.curve) == 2
    assert not trained.network.training


def test_evaluate_gives_every_output_in_the_samples_order() -> None:
    """The same rows, however they are cut into batches."""
    recipe = quick_image()
    lightning.seed_everything(1, verbose=False)
    network = recipe.network().eval()
    samples = recipe.data.held_out()

    outputs = evaluate(network, samples)
    alone = evaluate(network, samples.first(3))

    assert set(outputs) == {
        "probabilities",
        "logits",
        "gates_2",
        "gates_3",
        "gates_4",
        "gates_5",
        "contributions",
        "bias",
    }
    for name, values in alone.items():
        np.testing.assert_allclose(outputs[name][:3], values, rtol=1e-4, atol=1e-5)
