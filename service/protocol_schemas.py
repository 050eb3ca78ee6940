"""The answers of the Open Inference Protocol and of Triton's extensions, as /openapi.json says them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.contract import Kind
from service.schemas import Distribution, Name, Range, Version

# What several documents have.
TensorName = Annotated[str, Field(description="its name in the graph", examples=["attention"])]
Datatype = Annotated[str, Field(description="what its values are", examples=["FP32"])]
Dimensions = Annotated[
    list[int], Field(description="sizes of the dimensions; -1 where one is the caller's", examples=[[-1, 10, 32]])
]


def _sometimes(*members: str) -> ConfigDict:
    """Members that an answer has or has not; they are never null."""

    def change(schema: dict[str, Any]) -> None:
        schema["required"] = [name for name in schema["required"] if name not in members]

    return ConfigDict(json_schema_extra=change)


class ServerMetadata(BaseModel):
    """What the server says of itself."""

    name: str = Field(description="of the server", examples=["heed"])
    version: str = Field(description="of the server", examples=["0.1.0"])
    extensions: list[str] = Field(
        description="of the protocol, by the names that Triton gave them",
        examples=[["binary_tensor_data", "model_repository"]],
    )


class TensorMetadata(BaseModel):
    """An input of the graph."""

    name: TensorName
    datatype: Datatype
    shape: Dimensions


class AttentionMeaning(BaseModel):
    """What an attention output means: its entry in the model's contract."""

    output: TensorName
    kind: Kind = Field(description="what the weights are for", examples=["temporal"])
    axes: list[str] = Field(description="the output's axes, outermost first", examples=[["batch", "time", "unit"]])
    range: Range
    sums_to_one_over: Distribution
    average: list[str] = Field(
        description="axes that /predict averages away where not every axis is asked for", examples=[["unit"]]
    )


class OutputMetadata(TensorMetadata):
    """An output of the graph."""

    model_config = _sometimes("parameters")

    parameters: AttentionMeaning = Field(description="of attention outputs alone")


class ModelMetadata(BaseModel):
    """The inputs and outputs of a model, for the version that was asked."""

    name: Name
    versions: list[str] = Field(description="those that can be asked for", examples=[["1"]])
    platform: Literal["onnx_onnxv1"] = Field(description="what kind of file it is", examples=["onnx_onnxv1"])
    inputs: list[TensorMetadata] = Field(description="what it takes")
    outputs: list[OutputMetadata] = Field(description="what it gives")


class ModelReady(BaseModel):
    """The model answers requests."""

    name: Name
    ready: Literal[True] = Field(description="true, or the answer is a problem", examples=[True])


class BinaryData(BaseModel):
    """Where an output is in binary."""

    binary_data_size: int = Field(description="its bytes, after the JSON, in the order of the outputs", examples=[8])


class InferenceOutput(BaseModel):
    """An output, of all rows: in JSON, or in binary after it."""

    model_config = _sometimes("parameters", "data")

    name: str = Field(description="its name in the graph", examples=["probabilities"])
    datatype: Datatype
    shape: list[int] = Field(description="sizes of the dimensions, rows first", examples=[[1, 2]])
    parameters: BinaryData = Field(description="of an output in binary")
    data: list[Any] = Field(description="flat, in row-major order; of an output in JSON", examples=[[0.0013, 0.9987]])


class InferenceAnswer(BaseModel):
    """The outputs that were asked for."""

    model_config = _sometimes("id")

    model_name: Name
    model_version: Version
    outputs: list[InferenceOutput] = Field(description="in the order in which they were asked for")
    id: str = Field(description="the request's, where it has one", examples=["42"])


class ConfigurationTensor(BaseModel):
    """An input or output, without its batch axis."""

    name: TensorName
    data_type: str = Field(description="what its values are", examples=["TYPE_FP32"])
    dims: list[int] = Field(description="sizes of the dimensions; -1 where one is the caller's", examples=[[10, 32]])


class Instances(BaseModel):
    """What runs the model in one worker."""

    name: Name
    kind: Literal["KIND_CPU"] = Field(description="where it runs", examples=["KIND_CPU"])
    count: int = Field(description="runs in threads at once", examples=[1])


class DynamicBatching(BaseModel):
    """How requests meet in runs."""

    preferred_batch_size: list[int] = Field(
        description="rows in one run at most; a request with more has several runs", examples=[[32]]
    )
    max_queue_delay_microseconds: int = Field(
        description="longest time that the first input of a run waits for others", examples=[0]
    )


class ModelConfiguration(BaseModel):
    """A model as Triton's configuration describes one."""

    name: Name
    platform: Literal["onnxruntime_onnx"] = Field(description="what kind of file it is", examples=["onnxruntime_onnx"])
    backend: Literal["onnxruntime"] = Field(description="what runs it", examples=["onnxruntime"])
    default_model_filename: str = Field(description="the file in each version's folder", examples=["model.onnx"])
    version_policy: dict[str, Any] = Field(
        description="which versions are served", examples=[{"specific": {"versions": [1]}}]
    )
    max_batch_size: int = Field(description="rows in one request at most", examples=[256])
    input: list[ConfigurationTensor] = Field(description="what it takes")
    output: list[ConfigurationTensor] = Field(description="what it gives")
    instance_group: list[Instances] = Field(description="what runs it")
    dynamic_batching: DynamicBatching = Field(description="how requests meet in runs")


class Duration(BaseModel):
    """How often, and how long in all."""

    count: int = Field(description="how often", examples=[1000])
    ns: int = Field(description="nanoseconds", examples=[74000000])


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

    name: Name
    version: Version
    last_inference: int = Field(description="milliseconds since 1970; 0: none yet", examples=[1767225600000])
    inference_count: int = Field(description="rows that ran", examples=[4000])
    execution_count: int = Field(description="runs", examples=[1000])
    inference_stats: InferenceStatistics = Field(description="where the time went")
    batch_stats: list[Any] = Field(description="empty: times are not kept by batch size", examples=[[]])


class StatisticsAnswer(BaseModel):
    """Statistics of one version or of several."""

    model_stats: list[VersionStatistics] = Field(description="one entry a version")
