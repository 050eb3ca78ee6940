"""The connection: what is wrong before ASGI begins is told as a problem, and what came whole is answered first."""

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.problems import MEDIA_TYPE, HeadersTooLarge, MalformedRequest, ServingError, problem_document
from service.request_log import HEADER, new_request_id

MAX_HEAD_BYTES = 64 * 1024
# What a client sent before it could know that the server stops is on its way no longer than this.
DRAINING_SECONDS = 0.5


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol; the parser itself holds a head of any size, so it is counted here."""

    _head_bytes = 0
    _is_draining = False
    # What is sent once all requests that came whole are answered; None while the connection goes on.
    _last_words: bytes | None = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser. Counts the bytes that came since the last request's head was complete."""
        if self._last_words is not None:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES and self._last_words is None and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"request line and headers are longer than {MAX_HEAD_BYTES} bytes"))

    def shutdown(self) -> None:
        """Answer what runs or is on its way, then close: uvicorn would reset a request that it has not read yet."""
        self._is_draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(DRAINING_SECONDS, self._close_if_idle)

    def on_headers_complete(self) -> None:
        """Begin the request."""
        self._head_bytes = 0
        super().on_headers_complete()
        if self._is_draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body: no head is being read."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; what follows is the next one's head."""
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or say the last words."""
        if self._last_words is None or self.pipeline:
            super().on_response_complete()
        else:
            self._close()

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
        self._end(STATUS_LINE[error.status] + lines + b"\r\n" + content)

    def _end(self, last_words: bytes) -> None:
        """Close, after the answers that are owed and these words."""
        self._last_words = last_words
        if not self._is_answer_owed():
            self._close()

    def _is_answer_owed(self) -> bool:
        if self.cycle is None or self.cycle.response_complete:
            return False
        if not self.cycle.more_body:
            return True
        # The newest request will never be whole. Where it is not the running one, it waits behind some that are.
        if self.pipeline:
            self.pipeline.popleft()
            return True
        return False

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._last_words or b"")
            self.transport.close()

    def _close_if_idle(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()
