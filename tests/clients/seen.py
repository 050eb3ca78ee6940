"""What a script calls and sees of one client: a row for each call, told to the parent as a line of JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

LONGEST_COMPLAINT = 400


@dataclass(frozen=True)
class Row:
    """One call, or several of a kind. `client`: the class that was looked at. `is_right` is None where nothing was."""

    client: str
    called: str
    seen: str
    is_right: bool | None


class Seen:
    """The rows of one client, printed as they come."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.wrong = 0

    @contextmanager
    def row(self, called: str) -> Iterator[list[str]]:
        """Whoever looks appends what was seen. What is raised was seen too, and is wrong."""
        told: list[str] = []
        try:
            yield told
        except Exception as error:  # noqa: BLE001  # whatever a client raises is a result
            self.wrong += 1
            self._print(Row(self.client, called, f"{type(error).__name__}: {error}"[:LONGEST_COMPLAINT], False))
        else:
            self._print(Row(self.client, called, "; ".join(told), True))

    def _print(self, row: Row) -> None:
        print(json.dumps(asdict(row)), flush=True)


def described(look: object) -> str:
    """What a function looks at, as its docstring says."""
    assert look.__doc__, f"{look} says nothing of what it looks at"
    return " ".join(look.__doc__.split()).removesuffix(".")
