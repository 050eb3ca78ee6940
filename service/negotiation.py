"""Whether an Accept header allows a media type (RFC 9110, section 12.5.1)."""


def is_acceptable(media_type: str, accept: str) -> bool:
    """The most specific range that covers the type decides; its quality 0 means no. An empty header allows all."""
    ranges = [_parsed(part) for part in accept.split(",") if part.strip()]
    covering = [(_specificity(name), quality) for name, quality in ranges if _covers(name, media_type)]
    return not ranges or (bool(covering) and max(covering)[1] > 0)


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
