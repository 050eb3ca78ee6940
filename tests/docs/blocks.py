"""A page's commands in their order, each with what the page shows as its answer."""

import re
from dataclasses import dataclass, field
from pathlib import Path

# A note to the tests, which no reader sees: <!-- test: trains -->
NOTE = re.compile(r"<!-- test: (.+) -->")
FENCE = re.compile(r"```(\S*)")


@dataclass(frozen=True)
class Block:
    """What stands between two fences: its language, its text, the line that it begins at, and the notes before it."""

    language: str
    text: str
    line: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """Something to do, and the blocks that show what comes of it. Without a command: what the notes say, alone."""

    command: Block
    shown: list[Block] = field(default_factory=list)


def blocks_of(page: Path) -> list[Block]:
    """Every fenced block of a page."""
    blocks: list[Block] = []
    notes: list[str] = []
    lines = page.read_text().splitlines()
    number = 0
    while number < len(lines):
        if note := NOTE.fullmatch(lines[number]):
            notes.append(note[1])
        elif fence := FENCE.fullmatch(lines[number]):
            end = lines.index("```", number + 1)
            text = "\n".join(lines[number + 1 : end])
            blocks.append(Block(fence[1], text, number + 1, tuple(notes)))
            notes, number = [], end
        number += 1
    assert not notes, f"{page.name}: no block follows the note '{notes[0]}'"
    return blocks


def steps_of(page: Path) -> list[Step]:
    """The page's `sh` blocks, each with the blocks that follow it."""
    steps: list[Step] = []
    for block in blocks_of(page):
        if block.language == "sh":
            steps.append(Step(block))
        elif steps:
            steps[-1].shown.append(block)
    return steps
