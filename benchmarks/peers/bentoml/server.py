"""BentoML: a service with workers, its API methods typed, the model called in them."""

import os
from typing import Annotated

import bentoml  # type: ignore[import-not-found]  # only in the peer's own environment
import numpy as np
from bentoml.validators import ContentType  # type: ignore[import-not-found]  # as above
from PIL.Image import Image as Picture

from benchmarks.peers.model import Model, encoded, pixels, with_region

WORKERS = int(os.environ["PEER_WORKERS"])
JSON = ContentType("application/json")


@bentoml.service(workers=WORKERS, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Heed:
    """Both models in each worker."""

    def __init__(self) -> None:
        self._series, self._image = Model("timeseries"), Model("image")

    @bentoml.api(route="/predict/timeseries")  # type: ignore[untyped-decorator]  # untyped here, see above
    async def predict_timeseries(self, sequence: list[list[float]]) -> Annotated[bytes, JSON]:
        """One answer."""
        return encoded(self._series.answers(np.array([sequence], np.float32))[0])

    @bentoml.api(route="/predict/image")  # type: ignore[untyped-decorator]  # untyped here, see above
    async def predict_image(self, image: Picture, /) -> Annotated[bytes, JSON]:
        """One answer."""
        rows = pixels(image)
        return encoded(with_region(self._image.answers(rows[np.newaxis])[0], rows))
