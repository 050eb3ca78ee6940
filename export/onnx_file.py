"""Writing a network and its contract as one ONNX file."""

import logging
import os
import signal
import threading
import warnings
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from export.datasets.dataset import Inputs
from export.errors import CheckError
from export.lstm import TRANSLATIONS
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

    `example`: one input, without the batch axis. Raises CheckError where the process fails; it has said why.
    """
    process = get_context("spawn").Process(target=_write_alone, args=(network, contract, example, path), daemon=True)
    process.start()
    try:
        process.join()
    finally:  # interrupted: nobody waits for the rest of it
        process.kill()
        process.join()
    if process.exitcode != 0:
        raise CheckError(f"the ONNX file could not be written, its process ended with {process.exitcode}")


def _write_alone(network: nn.Module, contract: Contract, example: Inputs, path: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    threading.Thread(target=_end_with_parent, args=(parent_process(),), daemon=True).start()
    _write(network, contract, example, path)


def _end_with_parent(parent: BaseProcess | None) -> None:
    """A parent that was killed cannot end its children: this one notices, and goes."""
    assert parent is not None, "this process was started by another"
    parent.join()
    os._exit(1)


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
        custom_translation_table=TRANSLATIONS,
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
