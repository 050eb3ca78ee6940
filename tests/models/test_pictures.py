"""Pictures are specifications that a real renderer draws, with the right thing in the right place."""

import base64
import io

import numpy as np
import pytest
import vl_convert
from PIL import Image

from models.pictures import bars, contribution_map, document


def _drawn(spec: dict[str, object]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    png = vl_convert.vegalite_to_png(document(spec), scale=1)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_the_highlighted_bar_alone_is_orange() -> None:
    """The known step is told apart by colour; its bar is as tall as its weight."""
    pixels = _drawn(bars([0.1, 0.1, 0.6, 0.2], "time", "weights", highlight=2)).astype(int)

    orange = (abs(pixels - (0xD9, 0x82, 0x2B)).sum(axis=2) < 30).sum()
    blue = (abs(pixels - (0x3B, 0x6E, 0xA8)).sum(axis=2) < 30).sum()

    assert orange / blue == pytest.approx(0.6 / 0.4, rel=0.05)


def test_a_map_lies_over_its_region() -> None:
    """The one cell that contributes is drawn where the region puts it, and nothing is drawn elsewhere."""
    black = io.BytesIO()
    Image.new("L", (80, 40)).save(black, "PNG")
    url = "data:image/png;base64," + base64.b64encode(black.getvalue()).decode()
    values = [[0.0] * 4 for _ in range(4)]
    values[2][3] = 1.0  # in a region of 80 × 80 around an 80 × 40 picture: x 60 to 80, y 20 to 40 of the picture

    spec = contribution_map(url, (0, -20, 80, 60), (80, 40), values, "")
    pixels = _drawn(spec).astype(int)
    coloured = np.argwhere((pixels[:, :, 0] > 60) & (pixels.max(axis=2) - pixels.min(axis=2) > 40))
    frame = np.argwhere(pixels.sum(axis=2) < 60)

    (top, left), (bottom, right) = frame.min(axis=0), np.maximum(frame, coloured.max(axis=0)).max(axis=0)
    x = (coloured[:, 1].mean() - left) / (right - left) * 80
    y = (coloured[:, 0].mean() - top) / (bottom - top) * 40
    assert x == pytest.approx(70, abs=2)
    assert y == pytest.approx(30, abs=2)
