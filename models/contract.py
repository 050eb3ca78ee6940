"""The contract: what the export promises about a graph and the service relies on, one JSON document in the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

METADATA_KEY = "heed.contract"
MAX_LABELS = 100_000

Task = Literal["timeseries", "image"]
Fit = Literal["pad", "crop", "stretch"]
Kind = Literal["temporal", "channel", "spatial", "alignment"]

DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
INPUT_AXES: dict[Task, tuple[str, ...]] = {
    "timeseries": ("batch", "time", "feature"),
    "image": ("batch", "row", "column", "channel"),
}
INPUT_DTYPE: dict[Task, str] = {"timeseries": "float32", "image": "uint8"}


class ContractError(ValueError):
    """A contract, or a graph beside its contract, that does not hold. The message names the fact."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output as the graph states it. A dimension that varies is None."""

    dtype: str
    shape: tuple[int | None, ...]

    @classmethod
    def of(cls, onnx_type: str, dimensions: Sequence[object]) -> Self:
        """From the form that onnxruntime gives: `tensor(float)`, and a name where a dimension varies."""
        dtype = DTYPES.get(onnx_type, onnx_type)
        return cls(dtype, tuple(size if isinstance(size, int) else None for size in dimensions))


class _Part(BaseModel):
    # A reader ignores members that it does not know: a newer writer may add some under the same format.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Input(_Part):
    """The graph's one input. `fit`: how a picture of another shape is brought to the graph's rows and columns."""

    name: str
    axes: tuple[str, ...]
    fit: Fit | None = None


class Outputs(_Part):
    """Names of the two outputs that every model has, both (batch, label)."""

    scores: str
    logits: str


class Attention(_Part):
    """One attention output: its axes, the range of its weights (None: no bound), and the axes averaged for people."""

    output: str
    kind: Kind
    axes: tuple[str, ...]
    range: tuple[float | None, float | None]
    sums_to_one_over: str | None = None
    average: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _axes_exist(self) -> Self:
        if self.axes[:1] != ("batch",):
            raise ValueError(f"the first axis of attention '{self.output}' is not batch")
        if len(set(self.axes)) != len(self.axes) or len(set(self.average)) != len(self.average):
            raise ValueError(f"an axis of attention '{self.output}' stands twice in axes or average")
        if set(self.axes[1:]) <= set(self.average):
            raise ValueError(f"attention '{self.output}' averages every axis: no weight would be left to show")
        for axis in (*self.average, *filter(None, [self.sums_to_one_over])):
            if axis not in self.axes[1:]:
                raise ValueError(f"attention '{self.output}' has no axis '{axis}', its axes are {', '.join(self.axes)}")
        return self


class Contributions(_Part):
    """The output that holds every position's share in every label's logit, and the output that holds the rest."""

    output: str
    axes: tuple[str, ...]
    bias: str


class Contract(_Part):
    """What a graph means. Names of tensors, never their sizes: those the graph says itself."""

    format: Literal[1]
    task: Task
    labels: tuple[str, ...] = Field(min_length=2, max_length=MAX_LABELS)
    input: Input
    outputs: Outputs
    attention: tuple[Attention, ...]
    contributions: Contributions | None = None
    provenance: dict[str, Any] = {}
    card: dict[str, Any] = {}

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label stands twice in labels")
        if self.input.axes != INPUT_AXES[self.task]:
            raise ValueError(f"the input axes of task {self.task} are {', '.join(INPUT_AXES[self.task])}, "
                             f"not {', '.join(self.input.axes)}")  # fmt: skip
        if (self.input.fit is None) == (self.task == "image"):
            raise ValueError("an image model's input has a fit, and no other model's has")
        if self.contributions and self.contributions.axes[:2] != ("batch", "class"):
            raise ValueError("the axes of contributions begin with batch, class")
        names = [entry.output for entry in self.attention]
        if len(set(names)) != len(names):
            raise ValueError("an output stands twice in attention")
        return self

    @property
    def axes_of_outputs(self) -> dict[str, tuple[str, ...]]:
        """Every output that the contract names, with its axes."""
        axes: dict[str, tuple[str, ...]] = {
            self.outputs.scores: ("batch", "class"),
            self.outputs.logits: ("batch", "class"),
            **{entry.output: entry.axes for entry in self.attention},
        }
        if self.contributions:
            axes[self.contributions.output] = self.contributions.axes
            axes[self.contributions.bias] = ("batch", "class")
        return axes


def read_contract(metadata: Mapping[str, str]) -> Contract:
    """The contract in a graph's metadata. Raises ContractError where there is none or it is not valid."""
    if METADATA_KEY not in metadata:
        raise ContractError(f"the file has no '{METADATA_KEY}' entry: it was not exported by Heed")
    try:
        return Contract.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ContractError(f"the contract is not valid: {place + ': ' if place else ''}{reason}") from invalid


def check_graph(contract: Contract, inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec]) -> None:
    """Hold a graph's own statements against its contract. Raises ContractError naming the first fact that differs."""
    if list(inputs) != [contract.input.name]:
        raise ContractError(f"the contract names one input '{contract.input.name}', the graph has {_listed(inputs)}")
    taken = inputs[contract.input.name]
    _check_tensor(contract.input.name, taken, INPUT_DTYPE[contract.task], contract.input.axes)
    if contract.task == "timeseries" and taken.shape[2] is None:
        raise ContractError("the number of features is not fixed in the graph")
    if contract.task == "image" and (None in taken.shape[1:] or taken.shape[3] not in (1, 3)):
        raise ContractError(f"an image input has fixed rows and columns and 1 or 3 channels, not {taken.shape[1:]}")
    for name, axes in contract.axes_of_outputs.items():
        if name not in outputs:
            raise ContractError(f"the contract names an output '{name}', the graph has {_listed(outputs)}")
        width = len(contract.labels)
        _check_tensor(name, outputs[name], "float32", axes)
        if axes[1:2] == ("class",) and outputs[name].shape[1] != width:
            raise ContractError(f"output '{name}' is {outputs[name].shape[1]} wide, the contract has {width} labels")
        # A step of a series is a step of its attention and its contributions; a picture's rows are not a map's.
        steps = outputs[name].shape[axes.index("time")] if "time" in axes else None
        if "time" in contract.input.axes and "time" in axes and steps != taken.shape[1]:
            raise ContractError(f"output '{name}' has {steps} time steps, the input {taken.shape[1]}")


def _check_tensor(name: str, spec: TensorSpec, dtype: str, axes: tuple[str, ...]) -> None:
    if spec.dtype != dtype:
        raise ContractError(f"'{name}' is {spec.dtype} in the graph, not {dtype}")
    if len(spec.shape) != len(axes):
        raise ContractError(f"'{name}' has {len(spec.shape)} dimensions in the graph, its axes are {', '.join(axes)}")
    if spec.shape[0] is not None:
        raise ContractError(f"the batch axis of '{name}' is fixed at {spec.shape[0]} in the graph")


def _listed(names: Mapping[str, TensorSpec]) -> str:
    return ", ".join(names) or "none"
