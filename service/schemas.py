"""The documents of the public interface as pydantic models: what /openapi.json says. Answers are not made of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from models.contract import Kind, Task

Weights = list[Any]
# What several documents have.
Name = Annotated[str, Field(description="the model's name", examples=["timeseries"])]
Version = Annotated[str, Field(description="the version, a number", examples=["1"])]
Range = Annotated[
    list[float | None], Field(description="least and greatest possible weight; an open end is null", examples=[[0, 1]])
]
Distribution = Annotated[
    str | None,
    Field(description="the axis that the weights are a distribution over; null: none", examples=["time"]),
]


class ModelIdentity(BaseModel):
    """The model that answered."""

    name: Name
    version: Version
    task: Task = Field(description="what it is asked with", examples=["timeseries"])


class Prediction(BaseModel):
    """The predicted label and every label's probability."""

    label: str = Field(description="the label of the greatest probability", examples=["1"])
    score: float = Field(description="the predicted label's probability", examples=[0.9987])
    scores: dict[str, float] = Field(description="each label's probability", examples=[{"0": 0.0013, "1": 0.9987}])


class AttentionWeights(BaseModel):
    """One attention output of the model."""

    name: str = Field(description="the output's name", examples=["attention"])
    kind: Kind = Field(description="what the weights are for", examples=["temporal"])
    axes: list[str] = Field(description="the axes of `weights`, outermost first", examples=[["time"]])
    shape: list[int] = Field(description="how long each axis is", examples=[[10]])
    range: Range
    sums_to_one_over: Distribution
    averaged_over: list[str] = Field(
        description="axes that were averaged away; empty with attention=full", examples=[["unit"]]
    )
    weights: Weights = Field(
        description="numbers, nested as `axes` and `shape` say",
        examples=[[0.015, 0.015, 0.646, 0.219, 0.02, 0.018, 0.017, 0.017, 0.016, 0.017]],
    )


class ContributionValues(BaseModel):
    """Each position's additive share in one label's logit: bias and the sum of values equal the logit."""

    label: str = Field(description="the label whose logit it is", examples=["1"])
    unit: Literal["logit"] = Field(description="what bias and values are measured in", examples=["logit"])
    axes: list[str] = Field(description="the axes of `values`, outermost first", examples=[["time"]])
    bias: float = Field(description="the logit's part that no position has a share in", examples=[-0.12])
    values: Weights = Field(
        description="numbers, nested as `axes` say",
        examples=[[0.01, 0.02, 5.9, 0.7, 0.05, 0.03, 0.02, 0.01, 0.01, 0.01]],
    )


class TimeseriesAnswer(BaseModel):
    """A prediction and where the model looked, from the same forward pass."""

    model: ModelIdentity = Field(description="the model that answered")
    prediction: Prediction = Field(description="what it predicted")
    attention: list[AttentionWeights] = Field(description="one entry an attention output; empty with attention=none")
    contributions: ContributionValues | None = Field(description="null with attention=none, or where there are none")


class ReceivedPicture(BaseModel):
    """The picture as it was received, after its EXIF turn."""

    width: int = Field(description="its columns", examples=[28])
    height: int = Field(description="its rows", examples=[28])
    region: list[float] = Field(
        min_length=4, max_length=4, examples=[[0, 0, 28, 28]],
        description="left, top, right, bottom of what the model's input covers, edges, in pixels of the picture",
    )  # fmt: skip


class ImageAnswer(TimeseriesAnswer):
    """A prediction, where the model looked, and which part of the picture that is."""

    image: ReceivedPicture = Field(description="the picture, and the part of it that maps over rows and columns cover")


class TimeseriesAnswers(BaseModel):
    """One answer for each input, in order."""

    results: list[TimeseriesAnswer] = Field(description="the answers")


class ImageAnswers(BaseModel):
    """One answer for each input, in order."""

    results: list[ImageAnswer] = Field(description="the answers")


class VersionEntry(BaseModel):
    """A version folder and what became of it."""

    version: Version
    status: Literal["served", "refused", "loading"] = Field(description="what became of it", examples=["served"])
    reason: str | None = Field(description="why it was refused", examples=[None])


class ModelEntry(BaseModel):
    """A model of the repository."""

    name: Name
    task: Task | None = Field(description="null while no version is served", examples=["timeseries"])
    default_version: str | None = Field(description="the version that answers where none is named", examples=["1"])
    versions: list[VersionEntry] = Field(description="its versions, by number")


class ModelList(BaseModel):
    """All models found."""

    models: list[ModelEntry] = Field(description="the models, by name")


class Tensor(BaseModel):
    """An input or output of the graph."""

    dtype: str = Field(description="what its numbers are", examples=["float32"])
    shape: list[int | None] = Field(
        description="the length of each axis; null: the dimension varies", examples=[[None, 10, 2]]
    )


class Execution(BaseModel):
    """How the worker that was asked runs the model: its warm-up measured that."""

    place: Literal["event loop", "thread"] = Field(
        description="where runs of an input as short as the warm-up's are made; longer ones are made in a thread",
        examples=["event loop"],
    )
    max_batch_size: int = Field(description="inputs in one run at most", examples=[32])
    parallel_runs: int = Field(description="runs in threads at once", examples=[1])
    seconds: dict[str, float] = Field(
        description="of one run, by the number of its inputs", examples=[{"1": 0.00008, "32": 0.0003}]
    )


class ModelDescription(ModelEntry):
    """A model, and one version of it in full; those members are null where that version is not served."""

    version: str | None = Field(description="the version that the following members describe", examples=["1"])
    contract: dict[str, Any] | None = Field(
        description="what the graph means, as in the file",
        examples=[{"format": 1, "task": "timeseries", "labels": ["0", "1"]}],
    )
    card: dict[str, Any] | None = Field(
        description="the model card", examples=[{"summary": "An LSTM with attention over time."}]
    )
    inputs: dict[str, Tensor] | None = Field(
        description="the graph's inputs, by name", examples=[{"sequence": {"dtype": "float32", "shape": [None, 10, 2]}}]
    )
    outputs: dict[str, Tensor] | None = Field(
        description="the graph's outputs, by name",
        examples=[{"probabilities": {"dtype": "float32", "shape": [None, 2]}}],
    )
    execution: Execution | None = Field(description="how it is run")
    has_samples: bool | None = Field(description="whether it came with samples", examples=[True])


class Sample(BaseModel):
    """An input of the model's test data, as a request body, with its true label."""

    label: str = Field(description="the true label", examples=["1"])
    body: dict[str, Any] = Field(
        description="what /predict/{task} takes", examples=[{"sequence": [[14.06, 10.66], [-5.18, 3.1], [1, 1]]}]
    )


class Samples(BaseModel):
    """Inputs to try the model with."""

    model: ModelIdentity = Field(description="the model that they came with")
    samples: list[Sample] = Field(description="about a dozen")


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = Field(description="true, or there is no answer", examples=[True])


class Ready(BaseModel):
    """All models found were loaded or refused, and at least one is served."""

    ready: Literal[True] = Field(description="true, or the answer is 503", examples=[True])
