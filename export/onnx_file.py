"""Writing a network and its contract as one ONNX file."""

import logging
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from export.datasets.dataset import Inputs
from models.contract import METADATA_KEY, Contract

OPSET = 18  # at 23 attention becomes one fused node and its weights vanish; TensorRT reads 18
EXAMPLE_BATCH = 3  # an example batch of 1 would freeze the batch axis


class _Graph(nn.Module):
    """The network with its output as a plain tuple, which is what the exporter takes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(inputs).named().values())


def write(network: nn.Module, contract: Contract, example: Inputs, path: Path) -> None:
    """Write the file in a fresh process: a second export of an LSTM in one process freezes its time length.

    `example`: one input, without the batch axis.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh_process:
        fresh_process.submit(_write, network, contract, example, path).result()


def _write(network: nn.Module, contract: Contract, example: Inputs, path: Path) -> None:
    _quieten_exporter()
    plain = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # unknown to torch's stubs
    batch = torch.from_numpy(np.repeat(example[None], EXAMPLE_BATCH, axis=0))
    program = torch.onnx.export(
        _Graph(plain).eval(),
        (batch,),
        dynamo=True,
        external_data=False,
        opset_version=OPSET,
        input_names=[contract.input.name],
        output_names=list(plain(batch).named()),
        dynamic_shapes={"inputs": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    assert program is not None, "the exporter returns a program when dynamo is on"
    model = program.model_proto
    _forget_origins(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, contract.model_dump_json(exclude_none=False)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _quieten_exporter() -> None:
    """Torch's exporter warns about its own internals, and that torchvision, which nothing here uses, is missing."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.|copyreg|contextlib|<eval")
    warnings.filterwarnings("ignore", message=r".*_check_is_size.*|.*LeafSpec.*|.*_flat_weights.*")


def _forget_origins(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes about every node: stack traces with the paths of this machine."""
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph):
        del part.metadata_props[:]
        part.doc_string = ""
    for initializer in model.graph.initializer:
        del initializer.metadata_props[:]
    del model.metadata_props[:]
