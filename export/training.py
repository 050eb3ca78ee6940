"""Training with Lightning: progress, device, a checkpoint after each epoch, resuming, a log."""

import logging
import pickle
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, ProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.data import DataLoader, IterableDataset

from export.datasets.dataset import Samples
from export.errors import DeviceError
from export.evaluation import BATCH
from export.recipes import Recipe
from models.network import NetworkOutput

CHECKPOINT, LOGS = "last.ckpt", "logs"
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Trained:
    """A trained network, on the CPU and in evaluation mode, how it got there and what it cost: figures of every epoch,
    seconds over all resumptions, and a CSV log for each of them."""

    network: nn.Module
    curve: list[dict[str, float]]
    seconds: float
    logs: list[Path]


class _Training(lightning.LightningModule):
    """One recipe's network, loss, optimizer and data."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        # A tenth faster on a CPU. (The stubs of torch do not know this form.)
        self.network = recipe.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """The loss of one batch."""
        loss = self._loss(self.network(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[1]))
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Loss and accuracy on what training never sees. They are logged; nothing is chosen by them."""
        output: NetworkOutput = self.network(batch[0])
        correct = (output.logits.argmax(dim=1) == batch[1]).float().mean()
        values = {"validation_loss": self._loss(output, batch[1]), "validation_accuracy": correct}
        self.log_dict(values, prog_bar=True, batch_size=len(batch[1]))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam as the text has it, or AdamW over one cycle."""
        budget = self.recipe.budget
        if budget.optimizer == "adam":
            return torch.optim.Adam(self.parameters(), budget.learning_rate, eps=1e-7)
        optimizer = torch.optim.AdamW(self.parameters(), budget.learning_rate, weight_decay=budget.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, budget.learning_rate, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def train_dataloader(self) -> DataLoader[Batch]:
        """The current epoch's samples, in that epoch's order: the same after a resumption."""
        random = np.random.default_rng([self.recipe.seed, self.current_epoch])
        samples = self.recipe.data.epoch(random)
        return _loader(samples, random.permutation(len(samples)), self.recipe.budget.batch_size)

    def val_dataloader(self) -> DataLoader[Batch]:
        """What training never sees."""
        samples = self.recipe.data.held_out().first(self.recipe.budget.validation_samples)
        return _loader(samples, np.arange(len(samples)), BATCH)

    def _loss(self, output: NetworkOutput, targets: Tensor) -> Tensor:
        budget = self.recipe.budget
        if budget.optimizer == "adam":  # the logits are [-z, z]: a softmax over them would count z twice
            return binary_cross_entropy_with_logits(output.logits[:, 1], targets.float())
        return cross_entropy(output.logits, targets, label_smoothing=budget.label_smoothing)


class _Batches(IterableDataset[Batch]):
    """Whole batches cut from arrays: collating 64 single samples costs more than a step of these networks."""

    def __init__(self, samples: Samples, order: np.ndarray[Any, Any], batch_size: int) -> None:
        self.samples, self.order, self.batch_size = samples, order, batch_size

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.order), self.batch_size):
            rows = self.order[start : start + self.batch_size]
            yield torch.from_numpy(self.samples.inputs[rows]), torch.from_numpy(self.samples.targets[rows])


def _loader(samples: Samples, order: np.ndarray[Any, Any], batch_size: int) -> DataLoader[Batch]:
    return DataLoader(_Batches(samples, order, batch_size), batch_size=None)


class _Lines(ProgressBar):
    """One line an epoch, for a log that cannot redraw a bar."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Runs after the epoch's validation."""
        figures = " ".join(f"{name} {float(value):.4f}" for name, value in sorted(trainer.callback_metrics.items()))
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {figures}", file=sys.stderr, flush=True)


class _Curve(Callback):
    """The figures of every epoch and the seconds that all took, kept in the checkpoint: a resumed run has them all."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.seconds = 0.0
        self._since = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Runs after the epoch's validation."""
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append({"epoch": trainer.current_epoch + 1, **figures})
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"epochs": self.epochs, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.epochs, self.seconds = state_dict["epochs"], state_dict["seconds"]


def train(recipe: Recipe, folder: Path, device: str = "auto") -> Trained:
    """Train the recipe's network, or go on where a run that was interrupted left its checkpoint in `folder`.

    `device`: auto, cpu, gpu, mps or one of several, like gpu:1. Raises DeviceError, and KeyboardInterrupt.
    """
    _quieten_lightning()
    lightning.seed_everything(recipe.seed, verbose=False)
    if recipe.budget.threads:
        torch.set_num_threads(recipe.budget.threads)
    training, curve = _Training(recipe), _Curve()
    trainer = _trainer(recipe, folder, device, curve)
    checkpoint = folder / CHECKPOINT
    resumed = _is_whole(checkpoint)
    if resumed:
        print(f"Going on from {checkpoint}", flush=True)
    try:
        trainer.fit(training, ckpt_path=str(checkpoint) if resumed else None, weights_only=True)
    except SystemExit as ended:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from ended
    return Trained(training.network.cpu().eval(), curve.epochs, curve.seconds, _logs(folder))


def _trainer(recipe: Recipe, folder: Path, device: str, curve: _Curve) -> lightning.Trainer:
    accelerator, _, number = device.partition(":")
    # Saved after the epoch's validation and before the next epoch starts; the curve comes first.
    checkpoint = ModelCheckpoint(folder, filename=Path(CHECKPOINT).stem, enable_version_counter=False)
    try:
        return lightning.Trainer(
            accelerator=accelerator,
            # One device: on several, Lightning would start this whole command once for each.
            devices=[int(number)] if number else 1,
            max_epochs=recipe.budget.epochs,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            callbacks=[curve, checkpoint, TQDMProgressBar(refresh_rate=20) if sys.stderr.isatty() else _Lines()],
            logger=CSVLogger(folder, name=LOGS),  # a new file for each resumption
            enable_model_summary=False,
        )
    except (MisconfigurationException, RuntimeError) as wrong:
        raise DeviceError(f"--device {device}: {str(wrong).strip().partition(chr(10))[0]}") from wrong


def _logs(folder: Path) -> list[Path]:
    return sorted((folder / LOGS).glob("version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:]))


def _is_whole(checkpoint: Path) -> bool:
    """Whether there is a checkpoint that can be read: a kill may have cut it short."""
    try:
        torch.load(checkpoint, weights_only=True)
    except FileNotFoundError:
        return False
    except (RuntimeError, EOFError, pickle.UnpicklingError) as broken:
        print(f"{checkpoint} cannot be read, training begins anew: {str(broken).partition(chr(10))[0]}", flush=True)
        return False
    return True


def _quieten_lightning() -> None:
    """Silence what it tells about itself at every start, and advice that does not fit: the batches are cut from arrays
    in memory, so worker processes would only copy them; a run that goes on finds its own files."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*`IterableDataset` has `__len__` defined.*",
        ".*directory .* exists and is not empty.*",
        ".*LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message=message)
