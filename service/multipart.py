"""The file fields of a multipart/form-data body (RFC 7578)."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.problems import InvalidInput, MalformedBody

MAX_PART_HEADER_BYTES = 16 * 1024


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)


@dataclass
class _Parts:
    """Collects parts from the parser's callbacks; stops at one more than `most`."""

    most: int
    finished: list[_Part] = field(default_factory=list)
    is_complete: bool = False
    _part: _Part = field(default_factory=_Part)
    _name: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)

    def on_part_begin(self) -> None:
        if len(self.finished) >= self.most:
            raise InvalidInput(f"the form has more than {self.most} fields")
        self._part = _Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > MAX_PART_HEADER_BYTES:
            raise MalformedBody("a header of a multipart field is too long")

    def on_header_end(self) -> None:
        self._part.headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._part.content += memoryview(data)[start:end]

    def on_part_end(self) -> None:
        self.finished.append(self._part)

    def on_end(self) -> None:
        self.is_complete = True


def file_fields(content: bytes, content_type: str, most: int) -> list[bytes]:
    """The files of the form, in order. A field is a file where it has a filename or a media type of its own.
    Raises MalformedBody, or InvalidInput where another field is among them or there are more than `most`.
    """
    _, options = parse_options_header(content_type)
    if b"boundary" not in options:
        raise MalformedBody("the Content-Type multipart/form-data has no boundary")
    parts = _Parts(most)
    callbacks = {name: getattr(parts, name) for name in dir(_Parts) if name.startswith("on_")}
    try:
        parser = MultipartParser(options[b"boundary"], callbacks)  # type: ignore[arg-type]  # a TypedDict of these
        parser.write(content)
        parser.finalize()
    except FormParserError as error:
        raise MalformedBody("the body is not valid multipart/form-data") from error
    if not parts.is_complete:
        raise MalformedBody("the multipart body ends before its last boundary")
    return [_file(part) for part in parts.finished]


def _file(part: _Part) -> bytes:
    disposition, options = parse_options_header(part.headers.get(b"content-disposition", b""))
    if disposition != b"form-data":
        raise MalformedBody("a multipart field has no Content-Disposition: form-data")
    if b"filename" not in options and b"content-type" not in part.headers:
        name = options.get(b"name", b"").decode("utf-8", "replace")[:40]
        raise InvalidInput(f"the form field '{name}' is not a file; only files are taken")
    return bytes(part.content)
