"""The outputs of an inference: only those asked for are fetched, and those that no contract names are there."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.session import Session, Tensor, Tensors
from service.settings import Settings
from tests.service.client import Client, problem, running
from tests.service.inference import (
    EVERYTHING,
    LENGTH,
    ONE,
    REFUSED,
    answer_of,
    asked,
    assert_same,
    binary_series,
    by_onnxruntime,
    in_json,
    the_input,
)
from tests.service.tiny_models import publish, timeseries_model, with_more_outputs

Fetched = list[tuple[str, ...]]


@pytest.fixture(scope="module")
def watched(one_model: Path) -> Iterator[tuple[Client, Fetched]]:
    """A service, and what each of its runs fetches."""
    fetched: Fetched = []

    class WatchedSession(Session):
        def run(self, rows: Tensor, outputs: Sequence[str]) -> Tensors:
            fetched.append(tuple(outputs))
            return super().run(rows, outputs)

    with running(Settings(model_repository=one_model), load_graph=WatchedSession) as client:
        yield client, fetched


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({}, EVERYTHING),
        ({"parameters": {"attention": False}}, ["probabilities", "logits"]),
        ({"outputs": [{"name": "bias"}, {"name": "logits"}]}, ["logits", "bias"]),
        ({"outputs": [{"name": "attention"}]}, ["attention"]),
    ],
)
def test_only_what_is_asked_for_is_fetched(
    watched: tuple[Client, Fetched], head: dict[str, Any], expected: list[str]
) -> None:
    """In the graph's order, so that those who ask for the same run together."""
    client, fetched = watched
    fetched.clear()

    asked(client, in_json({"inputs": [the_input()], **head}))

    assert fetched == [tuple(expected)]


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, bytes]]:
    """A service whose model has outputs that its contract does not name; and that model."""
    folder, model = tmp_path_factory.mktemp("more"), with_more_outputs(timeseries_model())
    publish(folder, "timeseries", "1", model)
    with running(Settings(model_repository=folder)) as client:
        yield client, model


MORE = {"integer": "INT64", "byte": "UINT8", "half": "FP16", "double": "FP64", "flag": "BOOL", "text": "BYTES"}


def test_outputs_of_other_datatypes(more: tuple[Client, bytes]) -> None:
    """All that have a row for each input are there; what is no tensor, or of another size, is not."""
    client, model = more
    outputs = {one["name"]: one["datatype"] for one in client.get("/v2/models/timeseries").json()["outputs"]}
    numbers = [name for name in outputs if name != "text"]

    answer = answer_of(
        asked(
            client,
            binary_series(ONE, outputs=[{"name": name} for name in numbers], parameters={"binary_data_output": True}),
        )
    )

    assert outputs == {**dict.fromkeys(EVERYTHING, "FP32"), **MORE}
    assert_same(answer.tensors, by_onnxruntime(model, ONE, numbers))


def test_outputs_of_other_datatypes_in_json(more: tuple[Client, bytes]) -> None:
    """Those that have a form there; half precision is refused."""
    client, model = more
    in_words = [name for name in MORE if name != "half"]

    answer = answer_of(asked(client, binary_series(ONE, outputs=[{"name": name} for name in in_words])))
    refused = asked(client, binary_series(ONE))

    expected = by_onnxruntime(model, ONE, in_words)
    for name in in_words:
        assert answer.tensors[name].tolist() == expected[name].tolist()
    assert "'half' is FP16, which has no form in JSON; ask for it in binary" in problem(refused, *REFUSED)


def test_strings_in_binary(more: tuple[Client, bytes]) -> None:
    """Each after its length."""
    client, model = more
    response = asked(client, binary_series(ONE, outputs=[{"name": "text", "parameters": {"binary_data": True}}]))

    (expected,) = by_onnxruntime(model, ONE, ["text"]).values()
    parts = [str(one).encode() for one in expected.ravel()]
    binary = response.content[int(response.headers[LENGTH]) :]
    assert binary == b"".join(len(part).to_bytes(4, "little") + part for part in parts)


@pytest.mark.parametrize("name", ["sizes", "list"])
def test_outputs_without_rows_cannot_be_asked_for(more: tuple[Client, bytes], name: str) -> None:
    """They are not listed, and told as unknown."""
    response = asked(more[0], binary_series(ONE, outputs=[{"name": name}]))

    assert f"has no output '{name}'" in problem(response, *REFUSED)
