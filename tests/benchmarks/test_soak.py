"""The soak finds what is wrong, and its report tells it."""

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.load import Answer, Answers
from benchmarks.memory import Sample
from benchmarks.questions import Question
from benchmarks.soak import Soak, document, verdict
from benchmarks.soak_questions import LONGEST, UNITS, Asked, any_length_model, unfinished
from service.session import Session

QUESTION = Question("any", "/predict/timeseries", "application/json", b"{}")
CARDS = [
    Asked("series", QUESTION, facts={"model.name": "timeseries", "attention.0.shape": [10]}),
    Asked("wrong: invalid-input", QUESTION, 422, {"type": "urn:heed:problem:invalid-input"}),
]
RIGHT = {"model": {"name": "timeseries"}, "attention": [{"shape": [10]}], "score": 0.5}


def _soak(counts: dict[Answer, int], resident: Sequence[float] = (100, 100, 100), broken: int = 0) -> Soak:
    samples = [Sample(place * 1000, place * 10, (20, it - 20), it) for place, it in enumerate(resident, 1)]
    return Soak(CARDS, Counter(counts), samples, broken=broken)


def test_a_refusal_that_was_asked_for_is_right() -> None:
    """A wrong request has to be refused; memory flat and all as expected is good."""
    result = _soak({Answer(0, 200): 2900, Answer(1, 422): 100})

    assert result.is_good
    assert verdict(result).startswith("Flat: RSS of all processes 100.0 MiB at the end of the first tenth, 100.0 MiB")
    assert "Every answer was right: 3,000 answered, 0 with another status" in verdict(result)


@pytest.mark.parametrize(
    "answer", [Answer(0, 503), Answer(1, 200), Answer(0, 422), Answer(None, 200)], ids=lambda it: str(it)
)
def test_another_status_is_wrong(answer: Answer) -> None:
    """An overloaded server, a wrong request that is taken, an answer that belongs to nobody's question."""
    result = _soak({Answer(0, 200): 2900, answer: 1})

    assert (result.wrong, result.is_good) == (1, False)
    assert "**Answers were wrong**: 2,901 answered, 1 with another status" in verdict(result)


def test_what_grows_or_is_lost_is_not_good() -> None:
    """Neither passes because the other is in order."""
    assert not _soak({Answer(0, 200): 3000}, resident=(100, 105, 110)).is_good
    assert not _soak({Answer(0, 200): 3000}, resident=(100,)).is_good
    assert not _soak({Answer(0, 200): 3000}, broken=1).is_good


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"score": 0.6}, ["series: $.score differs"]),
        ({"model": {"name": "image"}}, ["series: model.name is image, not timeseries"]),
        ({"attention": [{"shape": [9]}]}, ["series: attention.0.shape is [9], not [10]"]),
        ({"attention": []}, ["series: attention.0.shape is missing"]),
    ],
)
def test_bodies_are_compared(change: dict[str, object], told: list[str]) -> None:
    """With what is known of them, and with the answer that the question got at first."""
    result = _soak({})
    body = json.dumps({**RIGHT, **change}).encode()

    result.add(Answers(Counter({Answer(0, 200): 1}), [(Answer(0, 200), body)], 0), {0: RIGHT})

    assert result.complaints == told
    assert (result.answered, result.bodies) == (1, 1)


def test_the_report_tells_kinds_samples_and_what_is_wrong() -> None:
    """A short run is called one, the table stays short, an unexpected status stands out."""
    result = _soak({Answer(0, 200): 2899, Answer(1, 422): 100, Answer(0, 503): 1}, resident=[100] * 400)
    result.left["in the middle of their body"] = 1032

    text = document(result, [("threads of a run", "1", "1 and 1")])

    assert "**A short run: a look, no result.**" in text
    assert "| series | 200 | 2,899 |\n| series | **503** | 1 |\n| wrong: invalid-input | 422 | 100 |" in text
    assert text.count(" | 20.0 + 80.0 | 100.0 | ") == 30
    assert "| 1,000 | 10 |" in text
    assert "| 400,000 | 4000 |" in text
    assert "1,032 in the middle of their body left" in text
    assert "| threads of a run | 1 | 1 and 1 |" in text


def test_the_model_takes_every_length() -> None:
    """The trained one's length is fixed. Weights sum to one over time, shares to the logit, batch or not."""
    session = Session(any_length_model())
    outputs = list(session.contract.axes_of_outputs)
    for steps in (1, 2, LONGEST):
        rows = np.random.default_rng(steps).normal(0, 10, (3, steps, 2)).astype(np.float32)
        told = session.run(rows, outputs)
        alone = session.run(rows[1:2], outputs)

        assert told["attention"].shape == (3, steps, UNITS)
        np.testing.assert_allclose(told["attention"].sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(told["contributions"].sum(axis=2) + told["bias"], told["logits"], rtol=1e-4)
        np.testing.assert_allclose(alone["probabilities"], told["probabilities"][1:2], rtol=1e-5)


def test_an_unfinished_request_promises_more_than_it_sends() -> None:
    """Its server waits for the rest when the client leaves."""
    question = replace(QUESTION, body=b"[1, 2]")

    head, _, body = unfinished([question])[0].raw("http://127.0.0.1:8000").partition(b"\r\n\r\n")

    sizes = [line for line in io.BytesIO(head) if line.lower().startswith(b"content-length")]
    assert body == b"[1, 2]"
    assert sizes == [b"Content-Length: 1006"]
