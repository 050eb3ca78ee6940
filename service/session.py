"""One loaded graph: checked against its contract, warmed up, run. The only one that has to do with onnxruntime."""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from models.contract import METADATA_KEY, Contract, ContractError, TensorSpec, check_graph, read_contract
from models.onnx_runtime import errors, onnxruntime
from service.pace import Pace, measured

CHECKED_ROWS = (1, 2)
# Steps of a row whose length is the caller's: as checked, as its pace is measured, and how much longer then.
CHECKED_LENGTH = 3
MEASURED_LENGTH = 10
TIMES_LONGER = 10
LOG_NOTHING = 4  # what it would log is raised too
# Without this a graph loaded from bytes may read weights from files in the working directory.
NO_FOLDER = "/dev/null/none"

OWN_SOURCES = re.compile(r"/onnxruntime_src\S*")

Tensor = NDArray[Any]
Tensors = dict[str, NDArray[np.float32]]

# Its exceptions have no common parent below Exception.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    errors.EPFail,
    errors.EngineError,
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.ModelRequiresCompilation,
    errors.NoModel,
    errors.NoSuchFile,
    errors.NotImplemented,
    errors.RuntimeException,
)


class GraphError(ValueError):
    """onnxruntime cannot load the graph, or cannot run it. Says what it said."""


class Session:
    """A graph with its contract. `run` may be called from several threads at once."""

    def __init__(self, model: bytes, pace: Pace | None = None) -> None:
        """Load, check and warm up; measure the pace where it is not known already. Raises ContractError or GraphError.
        Bytes, so that those whose checksum was taken are those that run, and no graph can reach files beside it.
        """
        try:
            self._session = onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
        except RUNTIME_ERRORS as error:
            raise GraphError(f"onnxruntime cannot load the graph: {_first_line(error)}") from error
        self._run_options = onnxruntime.RunOptions()
        # Nodes that no wanted output needs are not run: contributions where only the scores are asked for.
        self._run_options.only_execute_path_to_fetches = True
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.contract: Contract = read_contract(metadata)
        self.contract_document = _document(metadata[METADATA_KEY])
        self.inputs = {one.name: TensorSpec.of(one.type, one.shape) for one in self._session.get_inputs()}
        self.outputs = {one.name: TensorSpec.of(one.type, one.shape) for one in self._session.get_outputs()}
        check_graph(self.contract, self.inputs, self.outputs)
        # The shape of one input, without the batch axis; None where it varies.
        self.row_shape: tuple[int | None, ...] = self.inputs[self.contract.input.name].shape[1:]
        self._warm_up()
        self.pace = pace or self._measured()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the input's values."""
        return np.dtype(self.inputs[self.contract.input.name].dtype)

    def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
        """The outputs asked for, (batch, …) each, of inputs (batch, …): one pass."""
        values = self._session.run(outputs, {self.contract.input.name: rows}, self._run_options)
        return dict(zip(outputs, values, strict=True))

    def _warm_up(self) -> None:
        for count in CHECKED_ROWS:
            tensors = self._run_zeros(count, CHECKED_LENGTH)
            for name, values in tensors.items():
                if len(values) != count:
                    raise ContractError(f"output '{name}' has {len(values)} rows for an input of {count}")
                if not np.isfinite(values).all():
                    raise ContractError(f"output '{name}' is not finite for an input of zeros")

    def _measured(self) -> Pace:
        row_values = math.prod(size or MEASURED_LENGTH for size in self.row_shape)
        times_longer = TIMES_LONGER if None in self.row_shape else 1
        return measured(lambda rows, times: self._run_zeros(rows, MEASURED_LENGTH * times), row_values, times_longer)

    def _run_zeros(self, count: int, length: int) -> Tensors:
        """All outputs; `length` is that of the axes whose size is the caller's."""
        shape = tuple(size or length for size in self.row_shape)
        try:
            return self.run(np.zeros((count, *shape), self.dtype), list(self.contract.axes_of_outputs))
        except RUNTIME_ERRORS as error:
            raise GraphError(f"onnxruntime cannot run the graph: {_first_line(error)}") from error


def _document(contract: str) -> dict[str, Any]:
    # As it stands in the file, members of newer writers included.
    try:
        document: dict[str, Any] = orjson.loads(contract)
    except orjson.JSONDecodeError as error:
        raise ContractError(f"the contract is not strict JSON: {error}") from error
    return document


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NO_FOLDER)
    options.log_severity_level = LOG_NOTHING
    return options


def _first_line(error: Exception) -> str:
    # The rest of its messages are C++ stack frames and files of its own build.
    return OWN_SOURCES.sub("onnxruntime", str(error).strip().partition("\n")[0]).replace(NO_FOLDER, "…")[:300]
