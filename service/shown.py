"""How a value looks in a complaint about it."""

LONGEST_SHOWN = 200


def shown(value: object) -> str:
    """As text of at most 200 characters, and UTF-8: a file's name need not be."""
    return str(value).encode("utf-8", "backslashreplace").decode()[:LONGEST_SHOWN]
