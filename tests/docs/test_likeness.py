"""What holds pages against answers finds a difference where there is one."""

import pytest

from tests.docs.likeness import check_json, check_text


@pytest.mark.parametrize(
    "shown",
    [
        '{"label": "1"}',
        '{"label": "1", "score": 0.9971}',
        '{"weights": [0.1, 0.7, "…"]}',
        '{"weights": [0.1, 0.7, 0.2], "model": {"name": "series"}}',
    ],
)
def test_a_part_of_an_answer_is_like_it(shown: str) -> None:
    """Members and last digits may be left out."""
    answered = (
        '{}{"label": "1", "score": 0.9986, "weights": [0.12, 0.68, 0.2], "model": {"name": "series", "n": 1}} 200'
    )

    check_json(shown, answered)


@pytest.mark.parametrize(
    "shown",
    [
        '{"label": "0"}',
        '{"score": 0.5}',
        '{"weights": [0.1, 0.7]}',
        '{"weights": [0.7, "…"]}',
        '{"entropy": 1}',
        '{"label": "1"}{"label": "1"}',
    ],
)
def test_another_answer_is_not(shown: str) -> None:
    """Another value, another length, a member or an answer that is not there."""
    with pytest.raises(AssertionError):
        check_json(shown, '{"label": "1", "score": 0.9986, "weights": [0.12, 0.68, 0.2]}')


def test_without_values_only_the_form_counts() -> None:
    """For a stand-in that was not trained."""
    check_json('{"label": "2", "map": [0.5]}', '{"label": "7", "map": [12.0]}', values=False)

    with pytest.raises(AssertionError):
        check_json('{"map": [0.5]}', '{"map": [0.5, 0.5]}', values=False)


def test_lines_of_text() -> None:
    """In any place of the output; numbers nearly, the rest exactly."""
    output = "one\nlogit 6.58, score 0.9986\nqueue;dur=0.1, inference;dur=0.2\n"

    check_text("logit 6.61, score 0.9980\nqueue;dur=…, inference;dur=…", output)

    for wrong in ("logit 9.61, score 0.9980", "logits 6.58, score 0.9986", "on"):
        with pytest.raises(AssertionError):
            check_text(wrong, output)
