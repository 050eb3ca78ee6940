"""What a network answers for many samples."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.datasets.dataset import Samples

BATCH = 512

Outputs = dict[str, NDArray[Any]]


@torch.inference_mode()
def evaluate(network: nn.Module, samples: Samples) -> Outputs:
    """Every output of the network for all samples, in their order, by the names that the graph gives them."""
    network.eval()
    starts = range(0, len(samples), BATCH)
    parts = [network(torch.from_numpy(samples.inputs[start : start + BATCH])).named() for start in starts]
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}
