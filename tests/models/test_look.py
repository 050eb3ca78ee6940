"""The colours keep what they promise."""

import re

import pytest

from models.look import DARK, LIGHT, Look


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("look", [LIGHT, DARK])
def test_words_and_marks_stand_out_from_the_ground(look: Look) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for graphics."""
    assert _contrast(look.ink, look.ground) >= 4.5
    assert _contrast(look.quiet, look.ground) >= 4.5
    assert min(_contrast(colour, look.ground) for colour in (look.above, look.below, look.weight)) >= 3


@pytest.mark.parametrize("look", [LIGHT, DARK])
def test_lines_are_as_many_and_all_different(look: Look) -> None:
    """A look may be exchanged for the other while a picture is shown."""
    assert len(set(look.lines)) == len(look.lines) == len(LIGHT.lines)
    assert all(re.fullmatch(r"#[0-9a-fA-F]{6}", colour) for colour in look.lines)
