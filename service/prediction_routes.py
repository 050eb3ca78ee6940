"""The prediction routes with their documentation: bodies, media types, examples, answers, problems."""

from collections.abc import Sequence
from typing import Any

from service.answer_pictures import ONE_ANSWER, VEGA_LITE
from service.api_keys import ApiKeys
from service.decode import FORM
from service.drawing import PNG, SVG
from service.examples import PICTURE, SERIES
from service.predict import Predictions
from service.problems import (
    BodyTimeout,
    DeadlinePassed,
    DrawingFailed,
    InvalidInput,
    MalformedBody,
    ModelLoading,
    NotAcceptable,
    TooLarge,
    Unauthorized,
    UnknownModel,
    UnknownVersion,
    UnsupportedMediaType,
    documented_problems,
)
from service.routing import JSON, Document, Doors, LeanRoute
from service.schemas import ImageAnswer, ImageAnswers, TimeseriesAnswer, TimeseriesAnswers

KINDS = (
    MalformedBody,
    Unauthorized,
    UnknownModel,
    UnknownVersion,
    NotAcceptable,
    BodyTimeout,
    TooLarge,
    UnsupportedMediaType,
    InvalidInput,
    ModelLoading,
    DeadlinePassed,
)
HEADERS = {
    "X-Request-ID": {
        "description": "the request's id, taken over or made",
        "schema": {"type": "string", "examples": ["order-42"]},
    },
    "Server-Timing": {
        "description": "milliseconds: decode, queue, inference",
        "schema": {"type": "string", "examples": ["decode;dur=0.04, queue;dur=0.01, inference;dur=0.09"]},
    },
}

# Pictures of an answer.
PICTURES: dict[str, Document] = {
    SVG: {"schema": {"type": "string", "description": "the answer as a picture"}},
    PNG: {"schema": {"type": "string", "format": "binary", "description": "the answer as a picture"}},
    VEGA_LITE: {"schema": {"type": "object", "description": "the answer as a picture, a Vega-Lite 5 specification"}},
}

FORMAT = "PNG, JPEG, WebP, GIF, BMP or TIFF"
SERIES_SCHEMA = {
    "description": "axes time, feature; a model of one feature also takes a flat list",
    "type": "array",
    "minItems": 1,
    "items": {"anyOf": [{"type": "array", "minItems": 1, "items": {"type": "number"}}, {"type": "number"}]},
}
FILE = {"type": "string", "format": "binary", "description": f"a {FORMAT} file"}
TEXTS = "files in base64; a data: prefix is allowed"
BASE64 = {"type": "string", "description": f"a {FORMAT} file in base64; a data: prefix is allowed"}


def prediction_routes(predictions: Predictions, keys: ApiKeys, doors: Doors, max_inputs: int) -> list[LeanRoute]:
    """The four routes, ready to stand in the application's router."""
    sequence, sequences = _series_bodies(max_inputs)
    image, images = _picture_bodies(max_inputs)
    pictures = predictions.pictures
    one = {"gives": (JSON, *pictures.given), "withheld": pictures.withheld, "responses": _responses(pictures.given)}
    series = {**one, "prompt": predictions.prompt_timeseries}
    several = {"withheld": dict.fromkeys((*PICTURES, "image/*"), ONE_ANSWER), "responses": _responses(())}
    documented: list[tuple[str, Any, Document, type, dict[str, Any]]] = [
        ("/predict/timeseries", predictions.predict_timeseries, sequence, TimeseriesAnswer, series),
        ("/predict/timeseries/batch", predictions.predict_timeseries_batch, sequences, TimeseriesAnswers, several),
        ("/predict/image", predictions.predict_image, image, ImageAnswer, one),
        ("/predict/image/batch", predictions.predict_image_batch, images, ImageAnswers, several),
    ]
    return [
        LeanRoute(
            path,
            endpoint,
            keys=keys,
            doors=doors,
            methods=["POST"],
            tags=["predictions"],
            response_model=answer,
            response_description="The prediction and where the model looked",
            openapi_extra={"requestBody": {"required": True, "content": content}},
            **how,
        )
        for path, endpoint, content, answer, how in documented
    ]


def _responses(pictures: Sequence[str]) -> dict[int | str, Document]:
    given: Document = {"headers": HEADERS}
    if not pictures:
        return {200: given, **documented_problems(*KINDS)}
    content = {media_type: PICTURES[media_type] for media_type in pictures}
    return {200: {**given, "content": content}, **documented_problems(*KINDS, DrawingFailed)}


def _series_bodies(max_inputs: int) -> tuple[Document, Document]:
    """The content of a body of one series, and of several."""
    several = _several(SERIES_SCHEMA, max_inputs, "the series, each as /predict/timeseries takes it")
    return (
        {JSON: _body("SequenceBody", "sequence", SERIES_SCHEMA, SERIES)},
        {JSON: _body("SequencesBody", "sequences", several, [SERIES, SERIES])},
    )


def _picture_bodies(max_inputs: int) -> tuple[Document, Document]:
    """The content of a body of one picture, and of several."""
    files, texts = (_several(one, max_inputs, f"{FORMAT} {what}") for one, what in ((FILE, "files"), (BASE64, TEXTS)))
    # The first is what is tried first: the one whose example can be sent as it stands.
    one = {
        JSON: _body("PictureBody", "image", BASE64, PICTURE),
        FORM: {"schema": _object("PictureForm", {"image": FILE})},
        "image/*": {"schema": FILE},
    }
    several = {
        JSON: _body("PicturesBody", "images", texts, [PICTURE, PICTURE]),
        FORM: {"schema": _object("PicturesForm", {"images": files})},
    }
    return one, several


def _several(schema: Document, max_inputs: int, description: str) -> Document:
    return {"type": "array", "minItems": 1, "maxItems": max_inputs, "items": schema, "description": description}


def _body(title: str, member: str, schema: Document, example: Any) -> Document:
    properties = {member: {**schema, "examples": [example]}}
    body = _object(title, properties) | {"additionalProperties": False}
    return {"schema": body, "examples": {"example": {"value": {member: example}}}}


def _object(title: str, properties: Document) -> Document:
    return {"title": title, "type": "object", "properties": properties, "required": list(properties)}
