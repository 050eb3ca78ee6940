"""Which media types an Accept header allows, and which of several it prefers (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence


def is_acceptable(media_type: str, accept: str) -> bool:
    """The most specific range that covers the type decides; its quality 0 means no. An empty header allows all."""
    return preferred((media_type,), accept) is not None


def preferred(media_types: Sequence[str], accept: str) -> str | None:
    """The type of the highest quality, the first of several that are equal; None where none is allowed."""
    ranges = [_parsed(part) for part in accept.split(",") if part.strip()]
    if not ranges or _quality(media_types[0], ranges) == 1:
        return media_types[0]
    best = max(media_types, key=lambda one: _quality(one, ranges))
    return best if _quality(best, ranges) > 0 else None


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    covering = [(_specificity(name), quality) for name, quality in ranges if _covers(name, media_type)]
    return max(covering)[1] if covering else 0.0


def _parsed(part: str) -> tuple[str, float]:
    name, *parameters = (field.strip().lower() for field in part.split(";"))
    quality = next((field[2:] for field in parameters if field.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0


def _covers(name: str, media_type: str) -> bool:
    # A lone * is no media range, yet old Java clients send it and mean */*.
    return name in ("*", "*/*", media_type.partition("/")[0] + "/*", media_type)


def _specificity(name: str) -> int:
    return 2 - name.count("*") if name != "*" else 0
