"""The documents of the Open Inference Protocol and of Triton's extensions, as /openapi.json says them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.contract import Kind
from service.datatypes import DATATYPES
from service.inference_request import LARGEST_SIZE

SHAPE = "sizes of the dimensions; -1 where one is the caller's"


def _sometimes(*members: str) -> ConfigDict:
    """Members that an answer has or has not; they are never null."""

    def change(schema: dict[str, Any]) -> None:
        schema["required"] = [name for name in schema["required"] if name not in members]

    return ConfigDict(json_schema_extra=change)


class ServerMetadata(BaseModel):
    """What the server says of itself."""

    name: str
    version: str
    extensions: list[str] = Field(description="of the protocol, by the names that Triton gave them")


class TensorMetadata(BaseModel):
    """An input of the graph."""

    name: str
    datatype: str
    shape: list[int] = Field(description=SHAPE)


class AttentionMeaning(BaseModel):
    """What an attention output means: its entry in the model's contract."""

    output: str
    kind: Kind
    axes: list[str]
    range: list[float | None] = Field(description="least and greatest possible weight; an open end is null")
    sums_to_one_over: str | None = Field(description="the axis that the weights are a distribution over; null: none")
    average: list[str] = Field(description="axes that /predict averages away where not every axis is asked for")


class OutputMetadata(TensorMetadata):
    """An output of the graph."""

    model_config = _sometimes("parameters")

    parameters: AttentionMeaning = Field(description="of attention outputs alone")


class ModelMetadata(BaseModel):
    """The inputs and outputs of a model, for the version that was asked."""

    name: str
    versions: list[str] = Field(description="those that can be asked for")
    platform: Literal["onnx_onnxv1"]
    inputs: list[TensorMetadata]
    outputs: list[OutputMetadata]


class ModelReady(BaseModel):
    """The model answers requests."""

    name: str
    ready: Literal[True]


class BinaryData(BaseModel):
    """Where an output is in binary."""

    binary_data_size: int = Field(description="its bytes, after the JSON, in the order of the outputs")


class InferenceOutput(BaseModel):
    """An output, of all rows: in JSON, or in binary after it."""

    model_config = _sometimes("parameters", "data")

    name: str
    datatype: str
    shape: list[int]
    parameters: BinaryData = Field(description="of an output in binary")
    data: list[Any] = Field(description="flat, in row-major order; of an output in JSON")


class InferenceAnswer(BaseModel):
    """The outputs that were asked for."""

    model_config = _sometimes("id")

    model_name: str
    model_version: str
    outputs: list[InferenceOutput]
    id: str = Field(description="the request's, where it has one")


class ConfigurationTensor(BaseModel):
    """An input or output, without its batch axis."""

    name: str
    data_type: str
    dims: list[int] = Field(description=SHAPE)


class Instances(BaseModel):
    """What runs the model in one worker."""

    name: str
    kind: Literal["KIND_CPU"]
    count: int = Field(description="runs in threads at once")


class DynamicBatching(BaseModel):
    """How requests meet in runs."""

    preferred_batch_size: list[int] = Field(description="rows in one run at most; a request with more has several runs")
    max_queue_delay_microseconds: int


class ModelConfiguration(BaseModel):
    """A model as Triton's configuration describes one."""

    name: str
    platform: Literal["onnxruntime_onnx"]
    backend: Literal["onnxruntime"]
    default_model_filename: str
    version_policy: dict[str, Any]
    max_batch_size: int = Field(description="rows in one request at most")
    input: list[ConfigurationTensor]
    output: list[ConfigurationTensor]
    instance_group: list[Instances]
    dynamic_batching: DynamicBatching


class Duration(BaseModel):
    """How often, and how long in all."""

    count: int
    ns: int = Field(description="nanoseconds")


class InferenceStatistics(BaseModel):
    """Where the time of a version's requests went; /predict's are among them."""

    success: Duration = Field(description="requests that were answered, from arrival to answer")
    fail: Duration = Field(description="requests that reached the version and were refused, failed or given up")
    queue: Duration = Field(description="waiting for a run, once for each run that a request is part of")
    compute_input: Duration = Field(description="reading bodies into inputs")
    compute_infer: Duration = Field(description="runs of the graph")
    compute_output: Duration = Field(description="writing answers")
    cache_hit: Duration = Field(description="there is no cache")
    cache_miss: Duration = Field(description="there is no cache")


class VersionStatistics(BaseModel):
    """What all workers have counted of a version."""

    name: str
    version: str
    last_inference: int = Field(description="milliseconds since 1970; 0: none yet")
    inference_count: int = Field(description="rows that ran")
    execution_count: int = Field(description="runs")
    inference_stats: InferenceStatistics
    batch_stats: list[Any] = Field(description="empty: times are not kept by batch size")


class StatisticsAnswer(BaseModel):
    """Statistics of one version or of several."""

    model_stats: list[VersionStatistics]


_STRING: dict[str, Any] = {"type": ["string", "null"]}
_SIZE: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": LARGEST_SIZE}
_NAME = {"type": "string"}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _parameters(**known: dict[str, Any]) -> dict[str, Any]:
    others = "shared memory and classification are refused, what else there is ignored"
    return {"type": ["object", "null"], "description": others, "properties": known}


REQUEST_INPUT = _object(
    {
        "name": _NAME,
        "shape": {"type": "array", "items": _SIZE, "description": "of all rows"},
        "datatype": {"enum": list(DATATYPES)},
        "parameters": _parameters(
            binary_data_size={"anyOf": [_SIZE, {"type": "null"}], "description": "bytes after the JSON"}
        ),
        "data": {"type": ["array", "null"], "items": {}, "description": "nested as the shape says, or flat"},
    },
    ["name", "shape", "datatype"],
)
REQUEST_OUTPUT = _object(
    {"name": _NAME, "parameters": _parameters(binary_data={"type": ["boolean", "null"]})}, ["name"]
)
REQUEST: dict[str, Any] = _object(
    {
        "id": {**_STRING, "description": "comes back in the answer"},
        "model_name": {**_STRING, "description": "the path's, where it is said at all"},
        "model_version": {**_STRING, "description": "the path's, where it is said at all"},
        "parameters": _parameters(
            timeout={**_SIZE, "description": "microseconds in which the answer is wanted; 0: as long as others have"},
            attention={"type": "boolean", "description": "false leaves out attention and contributions"},
            binary_data_output={"type": "boolean", "description": "outputs in binary that do not say otherwise"},
        ),
        "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": REQUEST_INPUT},
        "outputs": {
            "type": ["array", "null"],
            "items": REQUEST_OUTPUT,
            "description": "those that are wanted, in their order; without, every one",
        },
    },
    ["inputs"],
)
