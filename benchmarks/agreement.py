"""Whether two servers answer alike: a peer that answers something else is not measured."""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.questions import Question

TOLERANCE = 1e-6
# Asked at once, so that a batch has different inputs in it and an answer that went to the wrong caller is found.
ASKED_AT_ONCE = 12


class DisagreementError(RuntimeError):
    """A peer's body is not Heed's. Says where."""


def answers(address: str, questions: Sequence[Question]) -> list[Any]:
    """The body of each question's answer."""

    def ask(question: Question) -> Any:
        try:
            with urllib.request.urlopen(question.at(address), timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise DisagreementError(f"{question.path} is answered with {error.code}: {error.read()[:300]!r}") from error
        except (OSError, ValueError) as error:
            raise DisagreementError(f"{question.path} is not answered with JSON: {error}") from error

    with ThreadPoolExecutor(ASKED_AT_ONCE) as threads:
        return list(threads.map(ask, questions))


def check(expected: Sequence[Any], answered: Sequence[Any]) -> None:
    """Hold a peer's bodies against Heed's. Raises DisagreementError."""
    for ours, theirs in zip(expected, answered, strict=True):
        if place := difference(ours, theirs):
            raise DisagreementError(f"its body differs from Heed's at {place}")


def difference(ours: Any, theirs: Any, place: str = "$") -> str | None:
    """Where two JSON documents differ, None where they are equal and their numbers within TOLERANCE."""
    if _is_number(ours) and _is_number(theirs):
        return None if math.isclose(ours, theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE) else place
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if ours.keys() != theirs.keys():
            return f"{place}: members {sorted(ours.keys() ^ theirs.keys())}"
        pairs = [(ours[name], theirs[name], f"{place}.{name}") for name in ours]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(one, other, f"{place}[{index}]") for index, (one, other) in enumerate(zip(ours, theirs, strict=True))]
    else:
        return None if type(ours) is type(theirs) and ours == theirs else place
    return next((found for pair in pairs if (found := difference(*pair))), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
