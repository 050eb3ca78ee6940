"""mosec: an HTTP server in Rust that makes the batches, and Python processes that run them."""

import os

import numpy as np
from mosec import Server, Worker  # type: ignore[import-not-found]  # only in the peer's own environment

from benchmarks.peers.model import Document, Model, Tensor, encoded, picture, series, with_region


class Series(Worker):  # type: ignore[misc]  # untyped here, see above
    """Batches of time series."""

    model = "timeseries"

    def __init__(self) -> None:
        super().__init__()
        self._model = Model(self.model)

    def deserialize(self, data: bytes) -> Tensor:
        """One body."""
        return series(data)

    def forward(self, data: list[Tensor]) -> list[Document]:
        """One pass for the batch."""
        return self._model.answers(np.stack(data))

    def serialize(self, data: Document) -> bytes:
        """One answer."""
        return encoded(data)


class Image(Series):
    """Batches of pictures."""

    model = "image"

    def deserialize(self, data: bytes) -> Tensor:
        """One body."""
        return picture(data)

    def forward(self, data: list[Tensor]) -> list[Document]:
        """One pass for the batch."""
        return [with_region(answer, image) for answer, image in zip(super().forward(data), data, strict=True)]


def main() -> None:
    """Serve. mosec reads MOSEC_PORT and the like itself."""
    workers = int(os.environ["PEER_WORKERS"])
    server = Server()
    server.append_worker(Series, num=workers, max_batch_size=32, max_wait_time=1, route="/predict/timeseries")
    server.append_worker(Image, num=workers, max_batch_size=8, max_wait_time=1, route="/predict/image")
    server.run()


if __name__ == "__main__":
    main()
