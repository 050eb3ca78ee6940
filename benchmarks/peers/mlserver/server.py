"""MLServer: a custom runtime with handlers of its own, so that the body is Heed's and not its protocol's."""

import asyncio
import os
from typing import Annotated

import numpy as np
from fastapi import Body
from mlserver import MLModel, MLServer  # type: ignore[import-not-found]  # only in the peer's own environment
from mlserver.handlers import custom_handler  # type: ignore[import-not-found]  # as above
from mlserver.settings import ModelSettings, Settings  # type: ignore[import-not-found]  # as above
from pydantic import BaseModel
from starlette.responses import Response

from benchmarks.peers.model import Model, encoded, picture, with_region


class SeriesBody(BaseModel):
    """A request: axes time, feature."""

    sequence: list[list[float]]


class Series(MLModel):  # type: ignore[misc]  # untyped here, see above
    """Time series."""

    async def load(self) -> bool:
        """In each worker."""
        self._model = Model("timeseries")
        return True

    @custom_handler(rest_path="/predict/timeseries")  # type: ignore[untyped-decorator]  # untyped here, see above
    async def predict_timeseries(self, body: SeriesBody) -> Response:
        """One answer; custom handlers have no batching."""
        answer = self._model.answers(np.array([body.sequence], np.float32))[0]
        return Response(encoded(answer), media_type="application/json")


class Image(MLModel):  # type: ignore[misc]  # untyped here, see above
    """Pictures."""

    async def load(self) -> bool:
        """In each worker."""
        self._model = Model("image")
        return True

    @custom_handler(rest_path="/predict/image")  # type: ignore[untyped-decorator]  # untyped here, see above
    async def predict_image(self, content: Annotated[bytes, Body(media_type="image/png")]) -> Response:
        """One answer."""
        image = picture(content)
        answer = with_region(self._model.answers(image[np.newaxis])[0], image)
        return Response(encoded(answer), media_type="application/json")


async def main() -> None:
    """Serve."""
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=int(os.environ["PEER_PORT"]),
        grpc_port=int(os.environ["PEER_GRPC_PORT"]),
        metrics_endpoint=None,
        gzip_enabled=False,
        parallel_workers=0,
        load_models_at_startup=False,
    )
    models = [
        ModelSettings(name=name, implementation=f"benchmarks.peers.mlserver.server.{kind}")
        for name, kind in (("timeseries", "Series"), ("image", "Image"))
    ]
    await MLServer(settings).start(models)


if __name__ == "__main__":
    asyncio.run(main())
