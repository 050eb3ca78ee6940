"""Bare ASGI and onnxruntime: one process, no framework, no batcher, no checks. What a request costs at least."""

import os

import numpy as np
import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from benchmarks.peers.model import Model, encoded, picture, series, with_region

SERIES, IMAGE = Model("timeseries"), Model("image")


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Body in, answer out."""
    assert scope["type"] == "http"
    content = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        content += message["body"]
        if not message["more_body"]:
            break
    if scope["path"] == "/predict/image":
        image = picture(content)
        answer = with_region(IMAGE.answers(image[np.newaxis])[0], image)
    else:
        answer = SERIES.answers(series(content)[np.newaxis])[0]
    body = encoded(answer)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PEER_PORT"]), log_level="warning", access_log=False, lifespan="off")
