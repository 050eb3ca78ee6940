"""LitServe: FastAPI in front, batches through a queue to worker processes."""

import os
from typing import Annotated, Any

import litserve  # type: ignore[import-not-found]  # only in the peer's own environment
import numpy as np
from fastapi import Body, Request, Response

from benchmarks.peers.model import Document, Model, Tensor, encoded, picture, with_region


class Batches(litserve.LitAPI):  # type: ignore[misc]  # untyped here, see above
    """How inputs become a batch, and a batch answers."""

    def batch(self, inputs: list[Tensor]) -> Tensor:
        """Several inputs as one."""
        return np.stack(inputs)

    def unbatch(self, output: list[Document]) -> list[Document]:
        """The answers are a list already."""
        return output

    def encode_response(self, output: Document) -> Response:
        """As bytes: FastAPI's own encoder does not know arrays, and is slower."""
        return Response(encoded(output), media_type="application/json")


class Series(Batches):
    """Time series."""

    def setup(self, device: str) -> None:
        """In the worker."""
        self._model = Model("timeseries")

    def decode_request(self, request: Request) -> Tensor:
        """One body. The annotation asks for JSON to be parsed; what comes is the parsed document."""
        document: Any = request
        return np.array(document["sequence"], np.float32)

    def predict(self, inputs: Tensor) -> list[Document]:
        """One pass for the batch."""
        return self._model.answers(inputs)


class Image(Batches):
    """Pictures."""

    def setup(self, device: str) -> None:
        """In the worker."""
        self._model = Model("image")

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/png")]) -> Tensor:
        """One body."""
        return picture(request)

    def predict(self, inputs: Tensor) -> list[Document]:
        """One pass for the batch."""
        answers = self._model.answers(inputs)
        return [with_region(answer, image) for answer, image in zip(answers, inputs, strict=True)]


def main() -> None:
    """Serve."""
    apis = [
        Series(max_batch_size=32, api_path="/predict/timeseries"),
        Image(max_batch_size=8, api_path="/predict/image"),
    ]
    server = litserve.LitServer(apis, accelerator="cpu", devices=1, workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PEER_PORT"]),
        num_api_servers=int(os.environ["PEER_WORKERS"]),
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
