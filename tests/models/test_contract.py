"""A contract that does not hold is refused with the fact by name."""

import json
from typing import Any

import pytest

from models.contract import METADATA_KEY, ContractError, TensorSpec, check_graph, read_contract

SERIES: dict[str, Any] = {
    "format": 1,
    "task": "timeseries",
    "labels": ["0", "1"],
    "input": {"name": "sequence", "axes": ["batch", "time", "feature"]},
    "outputs": {"scores": "probabilities", "logits": "logits"},
    "attention": [
        {"output": "attention", "kind": "temporal", "axes": ["batch", "time", "unit"], "range": [0, 1],
         "sums_to_one_over": "time", "average": ["unit"]}
    ],
    "contributions": {"output": "contributions", "axes": ["batch", "class", "time"], "bias": "bias"},
    "provenance": {"recipe": "timeseries", "commit": None},
    "card": {"accuracy": 1.0},
}  # fmt: skip
INPUTS = {"sequence": TensorSpec("float32", (None, 10, 2))}
OUTPUTS = {
    "probabilities": TensorSpec("float32", (None, 2)),
    "logits": TensorSpec("float32", (None, 2)),
    "attention": TensorSpec("float32", (None, 10, 32)),
    "contributions": TensorSpec("float32", (None, 2, 10)),
    "bias": TensorSpec("float32", (None, 2)),
}


def _with(path: str, value: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(SERIES))
    place = document
    *parents, last = path.split(".")
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[last] = value
    return document


def _read(document: dict[str, Any]) -> Any:
    return read_contract({METADATA_KEY: json.dumps(document)})


def test_the_documented_contract_is_read_and_its_graph_agrees() -> None:
    """The page's own example, members of a newer writer included."""
    contract = _read(_with("later", {"anything": 1}))

    check_graph(contract, INPUTS, OUTPUTS)
    assert contract.axes_of_outputs["contributions"] == ("batch", "class", "time")
    assert contract.provenance["commit"] is None


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("format", 2, "format"),
        ("task", "translation", "task"),
        ("labels", ["0"], "labels"),
        ("labels", ["0", "0"], "a label stands twice"),
        ("input.axes", ["batch", "feature", "time"], "the input axes of task timeseries are batch, time, feature"),
        ("input.fit", "pad", "has a fit"),
        ("attention.0.kind", "magic", "kind"),
        ("attention.0.average", ["channel"], "'attention' has no axis 'channel'"),
        ("attention.0.sums_to_one_over", "batch", "'attention' has no axis 'batch'"),
        ("attention.0.axes", ["time", "unit"], "the first axis of attention 'attention' is not batch"),
        ("attention.0.average", ["unit", "unit"], "stands twice in axes or average"),
        ("attention.0.axes", ["batch", "time", "time"], "stands twice in axes or average"),
        ("attention.0.average", ["time", "unit"], "averages every axis"),
        ("attention", [SERIES["attention"][0]] * 2, "an output stands twice in attention"),
        ("contributions.axes", ["batch", "time", "class"], "begin with batch, class"),
        ("outputs", {"scores": "probabilities"}, "outputs.logits"),
    ],
)
def test_an_invalid_contract_is_refused_by_name(path: str, value: Any, told: str) -> None:
    """The message names the member or the rule."""
    with pytest.raises(ContractError, match=told):
        _read(_with(path, value))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "\x00"])
def test_what_is_no_json_object_is_refused(content: str) -> None:
    """Garbage in the metadata is a refusal, not a crash."""
    with pytest.raises(ContractError, match="the contract is not valid"):
        read_contract({METADATA_KEY: content})


def test_a_file_without_a_contract_is_refused() -> None:
    """Any other ONNX file."""
    with pytest.raises(ContractError, match="was not exported by Heed"):
        read_contract({"producer": "somebody"})


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"),
    [
        ({"x": INPUTS["sequence"]}, {}, "one input 'sequence', the graph has x"),
        ({**INPUTS, "y": INPUTS["sequence"]}, {}, "the graph has sequence, y"),
        ({"sequence": TensorSpec("float64", (None, 10, 2))}, {}, "'sequence' is float64 in the graph, not float32"),
        ({"sequence": TensorSpec("float32", (None, 20))}, {}, "'sequence' has 2 dimensions"),
        ({"sequence": TensorSpec("float32", (1, 10, 2))}, {}, "the batch axis of 'sequence' is fixed at 1"),
        ({"sequence": TensorSpec("float32", (None, 10, None))}, {}, "number of features is not fixed"),
        ({"sequence": TensorSpec("float32", (None, 9, 2))}, {}, "'attention' has 10 time steps, the input 9"),
        ({}, {"bias": None}, "an output 'bias', the graph has probabilities"),
        ({}, {"logits": TensorSpec("float32", (None, 3))}, "'logits' is 3 wide, the contract has 2 labels"),
        ({}, {"attention": TensorSpec("float32", (None,))}, "'attention' has 1 dimensions"),
        ({}, {"attention": TensorSpec("float32", (None, 32))}, "'attention' has 2 dimensions"),
        ({}, {"attention": TensorSpec("float32", (3, 10, 32))}, "the batch axis of 'attention' is fixed at 3"),
        ({}, {"attention": TensorSpec("float16", (None, 10, 32))}, "'attention' is float16"),
    ],
)
def test_a_graph_that_differs_is_refused_by_name(
    inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec | None], told: str
) -> None:
    """One fact at a time."""
    given = {name: spec for name, spec in {**OUTPUTS, **outputs}.items() if spec is not None}

    with pytest.raises(ContractError, match=told):
        check_graph(_read(SERIES), inputs or INPUTS, given)
