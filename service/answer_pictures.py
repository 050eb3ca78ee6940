"""An answer as a picture: its Vega-Lite specification, or what is drawn from that."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from numpy.typing import NDArray

from models.look import LIGHT, Look
from models.pictures import WIDTH, picture
from models.rendering import MISSING
from service.drawing import PNG, SVG, Drawings
from service.routing import Content, Document
from service.threads import Threads

VEGA_LITE = "application/vnd.vegalite.v5+json"
# Of what an image's picture shows: twice that on a screen is as wide as the picture.
LARGEST_SIDE = 512
ONE_ANSWER = "a picture is of one answer, ask for it on the route without /batch"


class Sheet(NamedTuple):
    """What a picture is drawn on: its colours, and its width in pixels."""

    look: Look = LIGHT
    width: int = WIDTH


class AnswerPictures:
    """`given`: the media types of pictures that can be had here, an image range's first choice first; `withheld`: the
    others, with the reason."""

    def __init__(self, threads: Threads, drawings: Drawings, can_draw: bool) -> None:
        self.given = (SVG, PNG, VEGA_LITE) if can_draw else (VEGA_LITE,)
        self.withheld: Mapping[str, str] = {} if can_draw else dict.fromkeys((SVG, PNG, "image/*"), MISSING)
        self._threads = threads
        self._drawings = drawings

    async def of(self, answer: Document, given: NDArray[Any] | bytes, media_type: str, sheet: Sheet) -> Content:
        """`given`: what was predicted from, a series (time, feature) or the picture as PNG.

        Raises Overloaded, InvalidInput and DrawingFailed, as Drawings does.
        """
        spec = await self._threads.specify(lambda: _specification(answer, given, sheet))
        return Content(spec if media_type == VEGA_LITE else await self._drawings.draw(media_type, spec), media_type)


def _specification(answer: Document, given: NDArray[Any] | bytes, sheet: Sheet) -> bytes:
    # Through JSON and back: of the very numbers that a client would have read.
    told = _read(answer)
    shown = given if isinstance(given, bytes) else _read(given)
    return orjson.dumps(picture(told, shown, look=sheet.look, width=sheet.width))


def _read(value: Document | NDArray[Any]) -> Any:
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
