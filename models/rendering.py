"""A specification drawn as SVG or PNG, by vl-convert: without a browser and without a network.

vl-convert comes with the extra `pictures`. It is large, and looked for when the first picture is drawn, not before.
While it draws it holds the interpreter's lock, a tenth of a second and more: whoever serves others meanwhile draws in a
process of its own.
"""

import re
from importlib.util import find_spec
from types import ModuleType

from models.look import Spec
from models.maps import WHOLE_URL

VEGA_LITE = "5.21"
MOST_SCALE = 4
MOST_PIXELS = 32_000_000


MISSING = "a picture as SVG or PNG needs vl-convert: pip install --require-hashes -r requirements/pictures.txt"


class RendererMissingError(RuntimeError):
    """vl-convert is not installed."""


def is_installed() -> bool:
    """Whether SVG and PNG can be drawn."""
    return find_spec("vl_convert") is not None


def svg(spec: Spec) -> str:
    """Raises RendererMissingError; ValueError where the specification cannot be drawn or would load something."""
    drawn: str = _renderer().vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[])
    # What is allowed holds for data. A picture is loaded when the PNG is made, from another host or from a file.
    if loaded := re.search(rf'<image[^>]* (?:xlink:)?href="(?!{WHOLE_URL})([^"]*)', drawn):
        raise ValueError(f"the specification would load a picture from '{loaded[1][:40]}'")
    return drawn


def png(spec: Spec, scale: float = 2) -> bytes:
    """As `svg`; `scale` pixels of the PNG for each pixel of the specification. Raises ValueError for a scale out of
    bounds, and for a picture of more than MOST_PIXELS pixels."""
    if not 0 < scale <= MOST_SCALE:
        raise ValueError(f"the scale of a picture is above 0 and at most {MOST_SCALE}, not {scale:g}")
    drawing = svg(spec)
    width, height = _size(drawing)
    if width * height * scale**2 > MOST_PIXELS:
        raise ValueError(f"a picture of {width:g} × {height:g} pixels at scale {scale:g} has more than {MOST_PIXELS:,}")
    drawn: bytes = _renderer().svg_to_png(drawing, scale=scale)
    return drawn


def _size(drawing: str) -> tuple[float, float]:
    width, height = (re.search(rf'^<svg[^>]* {side}="([\d.]+)"', drawing) for side in ("width", "height"))
    assert width is not None
    assert height is not None
    return float(width[1]), float(height[1])


def _renderer() -> ModuleType:
    try:
        import vl_convert
    except ModuleNotFoundError as missing:
        raise RendererMissingError(MISSING) from missing
    return vl_convert
