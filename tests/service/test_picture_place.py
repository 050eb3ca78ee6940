"""Where a picture lies on the model's canvas: turned, resized, padded, cropped, and the region that tells it."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from service.picture import Canvas
from tests.service.picture_files import assert_close, decoded, noise, saved

# What EXIF's orientation says must be done to the stored rows and columns so that the picture stands upright.
UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def triangle_weights(size: int, start: float, stop: float, length: int) -> NDArray[np.float64]:
    """(size, length): how much each of `length` pixels adds to each of `size` pixels that cover start to stop."""
    scale = (stop - start) / size
    support = max(scale, 1.0)
    centres = start + (np.arange(size) + 0.5) * scale
    distances = np.abs(np.arange(length)[None] + 0.5 - centres[:, None]) / support
    weights = np.clip(1 - distances, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def resized(pixels: NDArray[Any], rows: int, columns: int, box: tuple[float, ...]) -> NDArray[np.float64]:
    """Antialiased bilinear resize of the box (left, top, right, bottom), in floats."""
    down = triangle_weights(rows, box[1], box[3], pixels.shape[0])
    across = triangle_weights(columns, box[0], box[2], pixels.shape[1])
    return np.asarray(np.einsum("ry,yxc,sx->rsc", down, pixels.astype(float), across))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_deflate", "save_all": True, "append_images": [Image.new("RGB", (4, 4))]}),
    ],
)
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_picture_is_turned_once(orientation: int, kind: str, options: dict[str, Any], fit: Any) -> None:
    """A file with an EXIF turn answers as the upright picture without one; size and region are the upright one's."""
    stored = np.asarray(Image.fromarray(noise(3, 5, 3)).resize((40, 24)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    canvas = Canvas(12, 10, 3, fit)

    turned = decoded(saved(Image.fromarray(stored), kind, exif=exif, **options), canvas)
    upright = decoded(saved(Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](stored)))), canvas)

    assert_close(turned.pixels, upright.pixels.astype(float), 12 if kind == "JPEG" else 1)
    assert (turned.width, turned.height) == (upright.width, upright.height)
    assert turned.region == pytest.approx(upright.region)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
    fit=st.sampled_from(["pad", "crop", "stretch"]),
)
def test_region_is_the_part_that_was_resized(width: int, height: int, rows: int, columns: int, fit: Any) -> None:
    """The pixels equal NumPy's resize of exactly the region, black beyond the picture."""
    pixels = noise(height, width, 3)

    picture = decoded(saved(Image.fromarray(pixels)), Canvas(rows, columns, 3, fit))

    left, top, right, bottom = picture.region
    across, down = (right - left) / columns, (bottom - top) / rows
    inner = [round(-left / across), round(-top / down), round((width - left) / across), round((height - top) / down)]
    inner = [max(0, inner[0]), max(0, inner[1]), min(columns, inner[2]), min(rows, inner[3])]
    box = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    expected = np.zeros((rows, columns, 3))
    expected[inner[1] : inner[3], inner[0] : inner[2]] = resized(pixels, inner[3] - inner[1], inner[2] - inner[0], box)
    assert_close(picture.pixels, expected)


def test_pad_is_centred_and_reaches_past_the_picture() -> None:
    """A wide picture on a square canvas: bars above and below, the region taller than the picture."""
    picture = decoded(saved(Image.new("L", (40, 20), 255)), Canvas(8, 8, 1, "pad"))

    assert picture.region == (0, -10, 40, 30)
    np.testing.assert_array_equal(picture.pixels[..., 0], np.repeat([0, 0, 255, 255, 255, 255, 0, 0], 8).reshape(8, 8))


def test_crop_takes_the_middle() -> None:
    """A wide picture on a square canvas: its middle square."""
    picture = decoded(saved(Image.new("L", (40, 20), 255)), Canvas(8, 8, 1, "crop"))

    assert picture.region == (10, 0, 30, 20)


@pytest.mark.parametrize(("width", "height"), [(641, 479), (1000, 333)])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_reduced_jpeg_shows_the_same_as_a_whole_one(width: int, height: int, fit: Any) -> None:
    """A large JPEG, decoded at a reduced scale, gives what its full-size pixels give, and tells its own size."""
    ramp = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width)).astype(np.uint8)
    content = saved(Image.fromarray(ramp), "JPEG", quality=95)
    canvas = Canvas(20, 20, 1, fit)

    reduced = decoded(content, canvas)
    whole = decoded(saved(Image.open(io.BytesIO(content))), canvas)

    assert_close(reduced.pixels, whole.pixels.astype(float), 3)
    assert (reduced.width, reduced.height, reduced.region) == (width, height, whole.region)
