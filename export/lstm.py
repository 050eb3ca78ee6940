"""How an LSTM stands in the graph: as the one node that it is. The exporter's own way hands it zeros to begin with,
which ONNX takes for granted, and computes shapes that are known: a quarter of the time of one row's run.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnxscript import opset18

# It takes lists where it wants a constant; its types say tensors.
op: Any = opset18

# Torch orders the gates input, forget, cell, output; ONNX input, output, forget, cell.
GATES_OF_ONNX = (0, 3, 1, 2)


def lstm(
    sequence: Any,
    state: Sequence[Any],
    parameters: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, Any, Any]:
    """aten::lstm.input of one layer and direction, batch first, with biases, from a state of zeros, as (batch, time,
    unit), and the last states. Whether it began with zeros cannot be seen here: the file is compared with the network.
    """
    assert (has_biases, num_layers, bidirectional, batch_first) == (True, 1, False, True), "the networks have no other"
    kernel, recurrent, *biases = parameters
    units = recurrent.shape[1]
    hidden, last, cell = op.LSTM(
        op.Transpose(sequence, perm=[1, 0, 2]),
        _reordered(kernel, units),
        _reordered(recurrent, units),
        op.Concat(*[_reordered(bias, units) for bias in biases], axis=1),
        hidden_size=units,
    )
    # (time, direction, batch, unit) → (batch, time, unit)
    return op.Transpose(op.Squeeze(hidden, [1]), perm=[1, 0, 2]), last, cell


def _reordered(parameter: Any, units: int) -> Any:
    """(4 · unit, …) in torch's order → (direction, 4 · unit, …) in that of ONNX."""
    gates = [op.Slice(parameter, [gate * units], [(gate + 1) * units], [0]) for gate in GATES_OF_ONNX]
    return op.Unsqueeze(op.Concat(*gates, axis=0), [0])


# For torch.onnx.export.
TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {torch.ops.aten.lstm.input: lstm}
