"""What an exported file has to show before it is published. Each failure says what differed."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnx.utils
from numpy.typing import NDArray
from torch import nn

from export.datasets.dataset import Inputs, Samples
from export.errors import CheckError
from export.evaluation import evaluate
from models.contract import Attention, Contract, TensorSpec, check_graph, read_contract
from models.onnx_runtime import onnxruntime

PARITY_BATCHES = (1, 2, 5, 32)
RTOL, ATOL = 1e-4, 1e-5
Floats = NDArray[np.float32]


def check(path: Path, network: nn.Module, inputs: Inputs) -> dict[str, Any]:
    """Hold the file against its network and its contract. `inputs`: at least 32 rows. Returns what was measured.

    Raises CheckError or ContractError.
    """
    session = _session(path)
    contract = read_contract(session.get_modelmeta().custom_metadata_map)
    taken, given = _specs(session.get_inputs()), _specs(session.get_outputs())
    check_graph(contract, taken, given)
    if taken[contract.input.name].shape[1:] != inputs.shape[1:]:
        raise CheckError(f"the graph takes {taken[contract.input.name].shape}, the network {inputs.shape[1:]} a row")
    differences = {size: _check_parity(session, network, inputs[:size]) for size in PARITY_BATCHES}
    outputs = _run(session, inputs[: max(PARITY_BATCHES)])
    for entry in contract.attention:
        _check_weights(entry, outputs[entry.output])
    _check_contributions(contract, outputs)
    return {"largest_difference_from_torch": differences, "operators": _operators(path, contract)}


def _session(path: Path, optimized: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # it warns that an optimized graph is for this machine: it is thrown away here
    if optimized:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _specs(tensors: list[onnxruntime.NodeArg]) -> dict[str, TensorSpec]:
    return {tensor.name: TensorSpec.of(tensor.type, tensor.shape) for tensor in tensors}


def _run(session: onnxruntime.InferenceSession, inputs: Inputs) -> dict[str, Floats]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: inputs}), strict=True))


def _check_parity(session: onnxruntime.InferenceSession, network: nn.Module, inputs: Inputs) -> float:
    """torch and onnxruntime agree on every output, at this batch size. Returns the largest absolute difference."""
    expected = evaluate(network, Samples(inputs, np.zeros(len(inputs), np.int64)))
    largest = 0.0
    for name, values in _run(session, inputs).items():
        if values.shape != expected[name].shape:
            raise CheckError(f"batch of {len(inputs)}: '{name}' is {values.shape}, in torch {expected[name].shape}")
        difference = float(np.abs(values - expected[name]).max())
        if not np.allclose(values, expected[name], RTOL, ATOL):
            raise CheckError(f"batch of {len(inputs)}: '{name}' differs from torch by up to {difference:.2e}")
        largest = max(largest, difference)
    return largest


def _check_weights(entry: Attention, weights: Floats) -> None:
    low, high = entry.range
    if (low is not None and weights.min() < low - ATOL) or (high is not None and weights.max() > high + ATOL):
        span = f"{weights.min():.6f} to {weights.max():.6f}"
        raise CheckError(f"'{entry.output}' goes from {span}, its contract says {low} to {high}")
    if entry.sums_to_one_over:
        away = float(np.abs(weights.sum(axis=entry.axes.index(entry.sums_to_one_over)) - 1).max())
        if away > ATOL:
            raise CheckError(f"'{entry.output}' sums over {entry.sums_to_one_over} to 1 ± {away:.2e}, not to 1")


def _check_contributions(contract: Contract, outputs: dict[str, Floats]) -> None:
    part = contract.contributions
    if part is None:
        return
    shares = outputs[part.output].sum(axis=tuple(range(2, len(part.axes))), dtype=np.float64)
    logits = outputs[contract.outputs.logits]
    if not np.allclose(shares + outputs[part.bias], logits, RTOL, ATOL):
        away = np.abs(shares + outputs[part.bias] - logits).max()
        raise CheckError(f"'{part.bias}' and the sum of '{part.output}' miss '{contract.outputs.logits}' by {away:.2e}")


def _operators(path: Path, contract: Contract) -> dict[str, dict[str, int]]:
    """Operators of the optimized graph, whole and cut down to the scores, and how they differ.

    An inner tensor that is an output can switch an optimization off: what the cut graph has and the whole one lacks,
    such as a fused operator, is `lost`.
    """
    with TemporaryDirectory() as folder:
        alone = Path(folder, "scores.onnx")
        onnx.utils.extract_model(str(path), str(alone), [contract.input.name], [contract.outputs.scores])
        whole, scores = (_count_operators(file, Path(folder, "optimized.onnx")) for file in (path, alone))
    counted = {"with_attention": whole, "scores_alone": scores, "added": whole - scores, "lost": scores - whole}
    return {name: dict(sorted(counts.items())) for name, counts in counted.items()}


def _count_operators(file: Path, optimized: Path) -> Counter[str]:
    _session(file, optimized)
    return Counter(node.op_type for node in onnx.load(optimized).graph.node)
