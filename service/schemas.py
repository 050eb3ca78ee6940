"""The documents of the public interface as pydantic models: what /openapi.json says. Answers are not made of them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from models.contract import Kind, Task

Weights = list[Any]


class ModelIdentity(BaseModel):
    """The model that answered."""

    name: str
    version: str
    task: Task


class Prediction(BaseModel):
    """The predicted label and every label's probability."""

    label: str
    score: float = Field(description="the predicted label's probability")
    scores: dict[str, float] = Field(description="each label's probability")


class AttentionWeights(BaseModel):
    """One attention output of the model."""

    name: str
    kind: Kind
    axes: list[str] = Field(description="the axes of `weights`, outermost first")
    shape: list[int]
    range: list[float | None] = Field(description="least and greatest possible weight; an open end is null")
    sums_to_one_over: str | None = Field(description="the axis that the weights are a distribution over; null: none")
    averaged_over: list[str] = Field(description="axes that were averaged away; empty with attention=full")
    weights: Weights = Field(description="numbers, nested as `axes` and `shape` say")


class ContributionValues(BaseModel):
    """Each position's additive share in one label's logit: bias and the sum of values equal the logit."""

    label: str
    unit: Literal["logit"]
    axes: list[str]
    bias: float
    values: Weights = Field(description="numbers, nested as `axes` say")


class TimeseriesAnswer(BaseModel):
    """A prediction and where the model looked, from the same forward pass."""

    model: ModelIdentity
    prediction: Prediction
    attention: list[AttentionWeights] = Field(description="one entry an attention output; empty with attention=none")
    contributions: ContributionValues | None = Field(description="null with attention=none, or where there are none")


class ReceivedPicture(BaseModel):
    """The picture as it was received, after its EXIF turn."""

    width: int
    height: int
    region: list[float] = Field(
        min_length=4, max_length=4,
        description="left, top, right, bottom of what the model's input covers, edges, in pixels of the picture",
    )  # fmt: skip


class ImageAnswer(TimeseriesAnswer):
    """A prediction, where the model looked, and which part of the picture that is."""

    image: ReceivedPicture


class TimeseriesAnswers(BaseModel):
    """One answer for each input, in order."""

    results: list[TimeseriesAnswer]


class ImageAnswers(BaseModel):
    """One answer for each input, in order."""

    results: list[ImageAnswer]


class VersionEntry(BaseModel):
    """A version folder and what became of it."""

    version: str
    status: Literal["served", "refused", "loading"]
    reason: str | None = Field(description="why it was refused")


class ModelEntry(BaseModel):
    """A model of the repository."""

    name: str
    task: Task | None = Field(description="null while no version is served")
    default_version: str | None = Field(description="the version that answers where none is named")
    versions: list[VersionEntry]


class ModelList(BaseModel):
    """All models found."""

    models: list[ModelEntry]


class Tensor(BaseModel):
    """An input or output of the graph."""

    dtype: str
    shape: list[int | None] = Field(description="null: the dimension varies")


class Execution(BaseModel):
    """How the worker that was asked runs the model: its warm-up measured that."""

    place: Literal["event loop", "thread"] = Field(
        description="where runs of an input as short as the warm-up's are made; longer ones are made in a thread"
    )
    max_batch_size: int = Field(description="inputs in one run at most")
    parallel_runs: int = Field(description="runs in threads at once")
    seconds: dict[str, float] = Field(description="of one run, by the number of its inputs")


class ModelDescription(ModelEntry):
    """A model, and one version of it in full; those members are null where that version is not served."""

    version: str | None = Field(description="the version that the following members describe")
    contract: dict[str, Any] | None = Field(description="what the graph means, as in the file")
    card: dict[str, Any] | None = Field(description="the model card")
    inputs: dict[str, Tensor] | None
    outputs: dict[str, Tensor] | None
    execution: Execution | None


class Sample(BaseModel):
    """An input of the model's test data, as a request body, with its true label."""

    label: str
    body: dict[str, Any]


class Samples(BaseModel):
    """Inputs to try the model with."""

    model: ModelIdentity
    samples: list[Sample]


class Live(BaseModel):
    """The process answers."""

    live: Literal[True]


class Ready(BaseModel):
    """All models found were loaded or refused, and at least one is served."""

    ready: Literal[True]
