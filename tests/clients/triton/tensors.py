"""Tensors to and from tritonclient's own types."""

from tritonclient.http import InferInput, InferRequestedOutput, InferResult

from tests.clients.oracle import Oracle, Tensor, Tensors


def inputs_of(oracle: Oracle, rows: Tensor, is_binary: bool = True) -> list[InferInput]:
    """The model's one input."""
    tensor = InferInput(oracle.input_name, list(rows.shape), oracle.datatype)
    tensor.set_data_from_numpy(rows, binary_data=is_binary)
    return [tensor]


def outputs_of(oracle: Oracle, is_binary: bool = True) -> list[InferRequestedOutput]:
    """Every output, asked for by name."""
    return [InferRequestedOutput(name, binary_data=is_binary) for name in oracle.output_names]


def tensors_of(result: InferResult) -> Tensors:
    """Every output that was answered, in the order of the answer."""
    return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}


def forms_of(result: InferResult) -> set[str]:
    """In which forms its outputs came: binary, JSON."""
    return {"JSON" if "data" in output else "binary" for output in result.get_response()["outputs"]}
