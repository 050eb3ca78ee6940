"""The outputs of an inference: which are asked for, and their answer, in JSON, in binary or some in each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from service.datatypes import Datatype, datatype_of
from service.inference_request import (
    LENGTH_HEADER,
    InferenceRequest,
    OutputParameters,
    RequestOutput,
    RequestParameters,
)
from service.problems import InvalidInput
from service.routing import JSON, OCTET_STREAM, Content, Document
from service.session import Tensor, Tensors
from service.tensors_in_binary import to_binary
from service.tensors_in_json import to_json
from service.versions import ServedModel

NOTHING_SAID = OutputParameters()


class AskedOutput(NamedTuple):
    """An output that is asked for, and in which form."""

    name: str
    datatype: Datatype
    is_binary: bool


@dataclass(frozen=True)
class Inference:
    """What is asked of a model: the input, (row, …), the outputs in the order of the answer, and until when."""

    rows: Tensor
    outputs: tuple[AskedOutput, ...]
    id: str | None = None
    timeout_seconds: float | None = None


def outputs_of(model: ServedModel) -> dict[str, Datatype]:
    """The graph's outputs that the protocol can answer: those of a datatype that it has, with a row for each input."""
    found = {name: datatype_of(spec) for name, spec in model.session.outputs.items() if spec.shape[:1] == (None,)}
    return {name: datatype for name, datatype in found.items() if datatype is not None}


def raw_outputs(model: ServedModel) -> tuple[AskedOutput, ...]:
    """What a request without JSON asks for: everything, in binary."""
    return tuple(AskedOutput(name, datatype, True) for name, datatype in outputs_of(model).items())


def asked_outputs(
    request: InferenceRequest, parameters: RequestParameters, model: ServedModel
) -> tuple[AskedOutput, ...]:
    """What a request asks for; all there are where it names none. Raises InvalidInput."""
    there_are = outputs_of(model)
    left_out = frozenset[str]() if parameters.attention else _explanations(model)
    if not request.outputs:
        names = [name for name in there_are if name not in left_out]
        return tuple(AskedOutput(name, there_are[name], parameters.binary_data_output) for name in names)
    _check_names([one.name for one in request.outputs], there_are, left_out, model)
    return tuple(
        AskedOutput(one.name, there_are[one.name], _is_binary(one, parameters.binary_data_output))
        for one in request.outputs
    )


def answered(model: ServedModel, inference: Inference, tensors: Tensors) -> Content:
    """The answer's body. Raises InvalidInput where JSON cannot say a value."""
    outputs: list[Document] = []
    binary: list[Any] = []
    for name, datatype, is_binary in inference.outputs:
        output: Document = {"name": name, "datatype": datatype.name, "shape": tensors[name].shape}
        if is_binary:
            binary.append(to_binary(tensors[name], datatype))
            output["parameters"] = {"binary_data_size": binary[-1].nbytes}
        else:
            output["data"] = to_json(tensors[name], datatype, name)
        outputs.append(output)
    document: Document = {"model_name": model.name, "model_version": model.version, "outputs": outputs}
    if inference.id is not None:
        document["id"] = inference.id
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if not binary:
        return Content(head, JSON)
    return Content(b"".join([head, *binary]), OCTET_STREAM, ((LENGTH_HEADER, b"%d" % len(head)),))


def _explanations(model: ServedModel) -> frozenset[str]:
    """The outputs that are attention or contributions."""
    contract = model.contract
    names = [entry.output for entry in contract.attention]
    if contract.contributions:
        names += [contract.contributions.output, contract.contributions.bias]
    return frozenset(names)


def _check_names(
    names: Sequence[str], there_are: dict[str, Datatype], left_out: frozenset[str], model: ServedModel
) -> None:
    for name in names:
        if name not in there_are:
            raise InvalidInput(
                f"model '{model.name}' has no output '{name[:40]}', its outputs are {', '.join(there_are)}"[:500]
            )
        if name in left_out:
            raise InvalidInput(f"output '{name}' is asked for, and parameters.attention is false")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InvalidInput(f"output '{twice}' is asked for more than once")


def _is_binary(output: RequestOutput, otherwise: bool) -> bool:
    said = output.parameters or NOTHING_SAID
    if said.shared_memory_region is not None:
        raise InvalidInput(f"output '{output.name}' is wanted in shared memory, which is not supported here")
    # 0 is what clients say who want none.
    if said.classification not in (None, 0):
        raise InvalidInput(
            f"output '{output.name}' is wanted as a classification, which is not supported here; "
            "without it, the values of all labels are answered"
        )
    return otherwise if said.binary_data is None else said.binary_data
