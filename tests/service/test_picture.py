"""Image files → pixels, in every format and mode, against NumPy's account of the same steps."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.picture import Canvas
from tests.service.picture_files import COLOUR_8X8, GREY_8X8, assert_close, decoded, noise, png, saved


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_every_lossless_format_gives_its_pixels(kind: str) -> None:
    """A grey picture of the model's own size arrives unchanged, whatever file it came in."""
    pixels = noise(8, 8)
    options = {"lossless": True} if kind == "WEBP" else {}

    picture = decoded(saved(Image.fromarray(pixels), kind, **options), GREY_8X8)

    np.testing.assert_array_equal(picture.pixels[..., 0], pixels)
    assert (picture.width, picture.height, picture.region) == (8, 8, (0, 0, 8, 8))


def test_jpeg_is_close_to_its_pixels() -> None:
    """A JPEG of a smooth picture arrives nearly unchanged."""
    ramp = np.tile(np.arange(8, dtype=np.uint8) * 30, (8, 1))

    picture = decoded(saved(Image.fromarray(ramp), "JPEG", quality=100), GREY_8X8)

    assert_close(picture.pixels[..., 0], ramp, 3)


def test_colour_becomes_grey_by_luma() -> None:
    """A colour picture for a grey model is weighted as ITU-R 601 says."""
    pixels = noise(8, 8, 3)

    picture = decoded(saved(Image.fromarray(pixels)), GREY_8X8)

    assert_close(picture.pixels[..., 0], pixels @ np.array([0.299, 0.587, 0.114]))


def test_grey_becomes_colour_by_repetition() -> None:
    """A grey picture for a colour model has three equal channels."""
    pixels = noise(8, 8)

    picture = decoded(saved(Image.fromarray(pixels)), COLOUR_8X8)

    np.testing.assert_array_equal(picture.pixels, np.repeat(pixels[..., None], 3, 2))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_over_black(mode: str) -> None:
    """Colour times opacity, in every mode that has an opacity."""
    pixels = noise(8, 8, len(mode))
    colours, opacity = pixels[..., :-1].astype(float), pixels[..., -1:] / 255

    picture = decoded(saved(Image.fromarray(pixels, mode)), COLOUR_8X8)

    assert_close(picture.pixels, np.broadcast_to(colours * opacity, (8, 8, 3)))


def test_transparent_palette_colour_is_black() -> None:
    """A palette picture's colours are looked up, and its transparent one is black."""
    indices = np.arange(64, dtype=np.uint8).reshape(8, 8)
    palette = noise(64, 3, seed=2)
    image = Image.fromarray(indices)
    image = image.convert("P")
    image.putdata(indices.ravel().tolist())
    image.putpalette(palette.tobytes())
    palette[5] = 0

    picture = decoded(saved(image, transparency=5), COLOUR_8X8)

    np.testing.assert_array_equal(picture.pixels, palette[indices])


def test_transparent_colour_of_rgb_is_black() -> None:
    """The one colour that a PNG declares transparent is black, others stay."""
    pixels = np.full((8, 8, 3), 200, np.uint8)
    pixels[2, 3] = (10, 250, 30)

    picture = decoded(saved(Image.fromarray(pixels), transparency=(10, 250, 30)), COLOUR_8X8)

    pixels[2, 3] = 0
    np.testing.assert_array_equal(picture.pixels, pixels)


@pytest.mark.parametrize(("kind", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str, order: str) -> None:
    """65535 is white, 257 steps make one."""
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(order)
    image = Image.frombytes("I;16B" if order == ">u2" else "I;16", (8, 8), values.tobytes())

    picture = decoded(saved(image, kind), GREY_8X8)

    assert_close(picture.pixels[..., 0], values / 257, 0.5001)


def test_sixteen_bit_colour_is_scaled() -> None:
    """A PNG of 16 bits a channel loses its lower bytes, no more."""
    values = np.linspace(0, 65535, 192).reshape(8, 8, 3).astype(">u2")

    picture = decoded(png(8, 8, 16, 2, values.tobytes()), COLOUR_8X8)

    assert_close(picture.pixels, values / 257, 1.01)


def test_wide_integers_and_floats_are_grey() -> None:
    """32-bit integers are read as 16-bit grey, floats from 0 to 1; what is beyond is clipped, NaN is black."""
    integers = np.array([[-5, 0], [65535, 10**9]], np.int32)
    floats = np.array([[np.nan, 0.5], [1.0, 7.0]], np.float32)
    canvas = Canvas(2, 2, 1, "stretch")

    of_integers = decoded(saved(Image.fromarray(integers), "TIFF"), canvas)
    of_floats = decoded(saved(Image.fromarray(floats), "TIFF"), canvas)

    np.testing.assert_array_equal(of_integers.pixels[..., 0], [[0, 0], [255, 255]])
    np.testing.assert_array_equal(of_floats.pixels[..., 0], [[0, 128], [255, 255]])


def test_one_bit_is_black_and_white() -> None:
    """Bits become 0 and 255."""
    bits = noise(8, 8) > 127

    picture = decoded(saved(Image.fromarray(bits)), GREY_8X8)

    np.testing.assert_array_equal(picture.pixels[..., 0], bits * 255)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_becomes_colour(kind: str) -> None:
    """White minus ink."""
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[..., 0] = 255

    picture = decoded(saved(Image.fromarray(ink, "CMYK"), kind), COLOUR_8X8)

    assert_close(picture.pixels, np.broadcast_to(np.array([0, 255, 255]), (8, 8, 3)), 3)


def test_lab_becomes_colour() -> None:
    """A CIELAB TIFF is turned to sRGB: pure red and mid grey come out as such."""
    rgb = Image.new("RGB", (8, 8), (255, 0, 0))
    rgb.paste((119, 119, 119), (0, 0, 4, 8))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.applyTransform(rgb, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    assert lab is not None

    picture = decoded(saved(lab, "TIFF"), COLOUR_8X8)

    assert_close(picture.pixels, np.asarray(rgb), 6)


def test_ycbcr_tiff_becomes_colour() -> None:
    """A TIFF of luma and chroma comes out in its colours."""
    image = Image.new("RGB", (8, 8), (200, 40, 90))

    picture = decoded(saved(image.convert("YCbCr"), "TIFF"), COLOUR_8X8)

    assert_close(picture.pixels, np.asarray(image), 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_first_frame_of_an_animation(kind: str) -> None:
    """Only the first frame counts."""
    frames = [Image.fromarray(noise(8, 8, seed=seed)) for seed in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}

    picture = decoded(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options), GREY_8X8)

    np.testing.assert_array_equal(picture.pixels[..., 0], noise(8, 8, seed=0))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("is_transparent", [False, True])
def test_the_transparent_grey_of_a_png_is_black(depth: int, is_transparent: bool) -> None:
    """Of every depth, and only that grey: the others keep their brightness."""
    most = 2**depth - 1
    values = [[most, most // 3, 0, most] * 2, [most // 2, most, most // 3, 0] * 2]
    bits = "".join(f"{value:0{depth}b}" for row in values for value in row)
    transparent = [(b"tRNS", struct.pack(">H", most))] if is_transparent else []

    content = png(8, 2, depth, 0, int(bits, 2).to_bytes(len(bits) // 8, "big"), transparent)
    pixels = decoded(content, Canvas(2, 8, 1, "stretch")).pixels[:, :, 0]

    expected = np.array([[0 if is_transparent and value == most else value for value in row] for row in values])
    np.testing.assert_allclose(pixels, expected * 255 / most, atol=0.51)
