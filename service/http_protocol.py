"""What is wrong before ASGI begins: uvicorn answers it in plain text, here it is a problem like every other."""

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.problems import MEDIA_TYPE, HeadersTooLarge, MalformedRequest, ServingError, problem_document
from service.request_log import HEADER, new_request_id

MAX_HEAD_BYTES = 64 * 1024


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol; the parser itself holds a head of any size, so it is counted here."""

    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Feed the parser. Counts the bytes that came since the last request's head was complete."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"request line and headers are longer than {MAX_HEAD_BYTES} bytes"))

    def on_headers_complete(self) -> None:
        """Begin the request."""
        self._head_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body: no head is being read."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; what follows is the next one's head."""
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(MalformedRequest("the request's line, headers, Content-Length or chunks are not valid HTTP"))

    def _refuse(self, error: ServingError) -> None:
        content = orjson.dumps(problem_document(error))
        headers = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
            (HEADER, new_request_id()),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + content)
        self.transport.close()
