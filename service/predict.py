"""POST /predict/…: a prediction and where the model looked, from one forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal
from weakref import WeakValueDictionary

from fastapi import Query
from pydantic import BaseModel, Field

from models.answer import Detail as AttentionAmount
from models.answer import NotFiniteError
from models.look import DARK, LIGHT
from models.pictures import WIDTH, WIDTHS
from service.answer_pictures import LARGEST_SIDE, AnswerPictures, Sheet
from service.batch_queue import Rows
from service.decode import Decoder, is_json
from service.exchange import Exchange
from service.problems import InvalidInput
from service.repository import Repository
from service.routing import JSON, Content, Document, Head, Received, Write, json_of
from service.sequences import SHORT_BODY_BYTES, Values
from service.session import Tensor
from service.timing import Timing
from service.versions import ServedModel

LABELS_SHOWN = 10


class PredictionQuery(BaseModel, extra="forbid", frozen=True):
    """The query parameters of every prediction route."""

    attention: AttentionAmount = Field(
        "summary",
        description="`summary`: averaged, one weight for each step, channel or place; `full`: every axis; "
        "`none`: the prediction alone",
    )
    label: str | None = Field(None, description="the label whose contributions are wanted; by default the predicted")
    model: str | None = Field(None, description="a model of the route's task; by default the one named like it")
    version: str | None = Field(None, description="a version of the model, a number; by default the highest")


class PictureQuery(PredictionQuery, frozen=True):
    """And those of the routes that answer with a picture where Accept asks for one."""

    width: int = Field(WIDTH, ge=WIDTHS[0], le=WIDTHS[1], description="how wide a picture of the answer is, in pixels")
    look: Literal["light", "dark"] = Field("light", description="on which ground a picture of the answer is drawn")


Asked = Annotated[PredictionQuery, Query()]
AskedPicture = Annotated[PictureQuery, Query()]
LOOKS = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True)
class Predictions:
    """The handlers of /predict: decode, call, answer."""

    repository: Repository
    decoder: Decoder
    pictures: AnswerPictures
    # What asks the same is answered together: one for each query, as long as a head is known that asks it.
    prompt: "WeakValueDictionary[PictureQuery, PromptSeries]" = field(default_factory=WeakValueDictionary)

    async def predict_timeseries(self, received: Received, asked: AskedPicture) -> Write | Content:
        """Predict the label of one time series, with the attention over its steps."""
        model = self.model("timeseries", asked, received.exchange)
        given = await self.decoder.sequence(received, model)
        row = await model.batcher.run_one(given, model.outputs_of[asked.attention], received.exchange)
        if received.head.media_type == JSON:
            return partial(_written, model, asked, row)
        return await self._picture(_answer(model, asked, row), given[0], asked, received)

    async def predict_timeseries_batch(self, received: Received, asked: Asked) -> Document:
        """Predict several time series in one call. One bad input refuses the call, the detail says its index."""
        model = self.model("timeseries", asked, received.exchange)
        inputs = await self.decoder.sequences(received, model)
        return {"results": await self._answers(model, asked, inputs, received.exchange)}

    async def predict_image(self, received: Received, asked: AskedPicture) -> Document | Content:
        """Predict the label of one picture: PNG, JPEG, WebP, GIF, BMP or TIFF, told apart by content."""
        model = self.model("image", asked, received.exchange)
        pictures = await self.decoder.picture(received, model)
        answers = await self._answers(model, asked, [picture.pixels for picture in pictures], received.exchange)
        answer = answers[0] | {"image": pictures[0].description}
        if received.head.media_type == JSON:
            return answer
        given = await self.decoder.thumbnail(received, pictures[0], LARGEST_SIDE)
        return await self._picture(answer, given, asked, received)

    async def predict_image_batch(self, received: Received, asked: Asked) -> Document:
        """Predict several pictures in one call. One bad picture refuses the call, the detail says its index."""
        model = self.model("image", asked, received.exchange)
        pictures = await self.decoder.pictures(received, model)
        answers = await self._answers(model, asked, [picture.pixels for picture in pictures], received.exchange)
        return {"results": [one | {"image": it.description} for one, it in zip(answers, pictures, strict=True)]}

    async def _picture(
        self, answer: Document, given: Tensor | bytes, asked: PictureQuery, received: Received
    ) -> Content:
        sheet = Sheet(LOOKS[asked.look], asked.width)
        return await self.pictures.of(answer, given, received.head.media_type, sheet)

    def prompt_timeseries(self, head: Head, size: int) -> "PromptSeries | None":
        """How `predict_timeseries` answers in JSON where the body is a short one."""
        if size > SHORT_BODY_BYTES or head.media_type != JSON or not is_json(head):
            return None
        asked: PictureQuery = head.arguments["asked"]
        return self.prompt.setdefault(asked, PromptSeries(self, asked))

    def model(self, task: Any, asked: PredictionQuery, exchange: Exchange) -> ServedModel:
        """The one that is asked for, noted as what the request is for. Raises UnknownModel, UnknownVersion,
        ModelLoading; InvalidInput where it has not the label whose contributions are wanted.
        """
        model = self.repository.served_for(task, task if asked.model is None else asked.model, asked.version)
        exchange.model = model.batcher.metrics
        labels = model.contract.labels
        if asked.label is not None and asked.label not in labels:
            more = ", …" if len(labels) > LABELS_SHOWN else ""
            first = ", ".join(label[:40] for label in labels[:LABELS_SHOWN])
            raise InvalidInput(f"model '{model.name}' has no label '{asked.label[:40]}', its labels are {first}{more}")
        return model

    async def _answers(
        self, model: ServedModel, asked: PredictionQuery, inputs: Sequence[Tensor], timing: Timing
    ) -> list[Document]:
        rows = await model.batcher.run(inputs, model.outputs_of[asked.attention], timing)
        places = [f"input {index}: " for index in range(len(rows))] if len(rows) > 1 else [""]
        return [_answer(model, asked, row, place) for row, place in zip(rows, places, strict=True)]


@dataclass(frozen=True, eq=False)
class PromptSeries:
    """`predict_timeseries` without what it may have to wait for, but for the run: decode, call, answer."""

    predictions: Predictions
    asked: PredictionQuery

    def model(self, exchange: Exchange) -> ServedModel:
        """As every endpoint's."""
        return self.predictions.model("timeseries", self.asked, exchange)

    def values(self, model: ServedModel, content: bytes) -> Values:
        """(time, feature), as lists."""
        return self.predictions.decoder.values(content, model)

    def rows(self, model: ServedModel, values: Sequence[Values]) -> Tensor:
        """(row, time, feature)."""
        return model.sequences.tensor(values)

    def outputs(self, model: ServedModel) -> tuple[str, ...]:
        """Those that an answer of this detail needs."""
        return model.outputs_of[self.asked.attention]

    def written(self, model: ServedModel, row: Rows) -> bytes:
        """The answer in JSON."""
        return _written(model, self.asked, row).body


def _written(model: ServedModel, asked: PredictionQuery, row: Rows) -> Content:
    if asked.label is not None:
        return json_of(_answer(model, asked, row))
    try:
        return Content(model.text_of[asked.attention].of(row.outputs, row.place), JSON)
    except NotFiniteError as error:
        raise InvalidInput(str(error)) from error


def _answer(model: ServedModel, asked: PredictionQuery, row: Rows, place: str = "") -> Document:
    try:
        return {"model": model.identity, **row.outputs.answer(row.place, asked.attention, asked.label)}
    except NotFiniteError as error:
        raise InvalidInput(f"{place}{error}") from error
