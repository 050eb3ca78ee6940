"""Whether an answer is like what a page shows: the page shows a part of it, and last digits may differ."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

REST = "…"
# Another machine trains slightly other weights.
ABSOLUTE, RELATIVE = 0.1, 0.1
DECIMAL = re.compile(r"\d+\.\d+")


def objects_in(text: str) -> list[dict[str, Any]]:
    """The JSON objects in a text that may hold other things too; empty ones tell nothing."""
    return [one for one in _objects(text) if one]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, place = json.JSONDecoder(), text.find("{")
    while place >= 0:
        found, end = decoder.raw_decode(text, place)
        yield found
        place = text.find("{", end)


def check_json(shown: str, answered: str, *, values: bool = True) -> None:
    """Every shown object against the answered one in its place. Without `values`, only what there is, not how much."""
    expected, found = objects_in(shown), objects_in(answered)
    assert len(expected) == len(found), f"shown are {len(expected)} answers, there are {len(found)}: {answered}"
    for one, other in zip(expected, found, strict=True):
        check_part(one, other, values=values)


def check_part(shown: Any, answered: Any, place: str = "answer", *, values: bool = True) -> None:
    """Members that are not shown may be there; `…` ends a list that goes on."""
    if isinstance(shown, dict):
        assert isinstance(answered, dict), f"{place} is no object"
        for name, value in shown.items():
            assert name in answered, f"{place} has no {name}"
            check_part(value, answered[name], f"{place}.{name}", values=values)
    elif isinstance(shown, list):
        _check_list(shown, answered, place, values)
    elif values and isinstance(shown, float):
        assert answered == pytest.approx(shown, rel=RELATIVE, abs=ABSOLUTE), place
    elif values:
        assert answered == shown, f"{place} is {answered!r}"
    else:
        assert (answered is None) == (shown is None), f"{place} is {answered!r}"


def _check_list(shown: list[Any], answered: Any, place: str, values: bool) -> None:
    assert isinstance(answered, list), f"{place} is no list"
    told = shown[:-1] if shown[-1:] == [REST] else shown
    assert len(answered) == len(told) if told is shown else len(answered) >= len(told), f"{place}: {len(answered)} long"
    for index, (one, other) in enumerate(zip(told, answered, strict=False)):
        check_part(one, other, f"{place}[{index}]", values=values)


def check_text(shown: str, answered: str) -> None:
    """Every shown line is one of the answered ones; `…` stands for anything."""
    for line in shown.splitlines():
        assert any(_is_like(line, other.strip()) for other in answered.splitlines()), f"'{line}' is not in: {answered}"


def _is_like(line: str, other: str) -> bool:
    pattern = DECIMAL.sub(r"(\\d+\\.\\d+)", re.escape(line).replace(r"\.", ".")).replace(REST, ".*")
    found = re.fullmatch(pattern, other)
    if found is None:
        return False
    numbers = [float(number) for number in DECIMAL.findall(line)]
    return [float(number) for number in found.groups()] == pytest.approx(numbers, rel=RELATIVE, abs=ABSOLUTE)
