"""FastAPI as people write it, with `def`: typed models, the model called in the endpoint, in a thread of the pool."""

from typing import Annotated, Any

import numpy as np
from fastapi import Body, FastAPI

from benchmarks.peers.fastapi.schemas import Answer, ImageAnswer, Series, plain
from benchmarks.peers.model import Model, picture, with_region

app = FastAPI()
series_model, image_model = Model("timeseries"), Model("image")


@app.post("/predict/timeseries", response_model=Answer)
def predict_timeseries(series: Series) -> Any:
    """Predict one series."""
    return plain(series_model.answers(np.array([series.sequence], np.float32))[0])


@app.post("/predict/image", response_model=ImageAnswer)
def predict_image(content: Annotated[bytes, Body(media_type="image/png")]) -> Any:
    """Predict one picture."""
    image = picture(content)
    return plain(with_region(image_model.answers(image[np.newaxis])[0], image))
