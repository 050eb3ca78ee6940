"""Image files → pixels and region, against NumPy's account of the same steps."""

import io
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from service.picture import Canvas, Picture, open_picture
from service.problems import MalformedBody, TooLarge

LIMIT = 1_000_000
COLOUR_8X8 = Canvas(8, 8, 3, "stretch")
GREY_8X8 = Canvas(8, 8, 1, "stretch")

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


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Random bytes."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes, canvas: Canvas) -> Picture:
    """What the service makes of the file."""
    return open_picture(content, LIMIT).decode(canvas)


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


def assert_close(actual: NDArray[Any], expected: NDArray[Any], most: float = 1.5) -> None:
    """Pillow rounds after each of its two passes, so a value may be one off."""
    assert actual.shape == expected.shape
    assert np.abs(actual.astype(float) - expected).max() <= most


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


def test_broken_exif_does_not_cost_the_picture() -> None:
    """Sound pixels beside EXIF that cannot be read are answered as they are stored."""
    image = Image.new("L", (8, 8), 200)
    broken = saved(image, "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01")
    nonsense = saved(image, "JPEG", exif=b"Exif\x00\x00nonsense")

    for content in (broken, nonsense):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_close(decoded(content, GREY_8X8).pixels, np.full((8, 8, 1), 200.0))


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


def test_pixel_limit_is_found_in_the_header() -> None:
    """A file that claims more pixels than the limit is refused before any is decoded, whatever Pillow's own limit."""
    content = png(100_000, 100_000, 8, 0, b"")

    with pytest.raises(TooLarge, match="100000 × 100000 pixels, at most 1000000"):
        open_picture(content, LIMIT)


def test_one_pixel_over_the_limit_is_refused() -> None:
    """The limit is a limit: that many are taken, one more is not."""
    assert open_picture(saved(Image.new("1", (1000, 1000))), LIMIT)

    with pytest.raises(TooLarge):
        open_picture(saved(Image.new("1", (1001, 1000))), LIMIT)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"not an image", b"%PDF-1.4", b"<svg/>", saved(Image.new("L", (4, 4)), "PPM")]
)
def test_other_files_are_refused(content: bytes) -> None:
    """What is none of the formats is refused, also where Pillow could read it."""
    with pytest.raises(MalformedBody, match="PNG, JPEG, WEBP, GIF, BMP, TIFF"):
        decoded(content, GREY_8X8)


FILES = [
    saved(Image.fromarray(noise(16, 16, 3)), "PNG"),
    saved(Image.fromarray(noise(16, 16)).convert("P"), "PNG", transparency=3),
    saved(Image.fromarray(noise(16, 16, 3)), "JPEG", exif=Image.Exif()),
    saved(Image.fromarray(noise(16, 16, 3)), "JPEG", progressive=True),
    saved(Image.fromarray(noise(16, 16, 3)), "WEBP"),
    saved(Image.fromarray(noise(16, 16, 3)), "GIF"),
    saved(Image.fromarray(noise(16, 16, 3)), "BMP"),
    saved(Image.fromarray(noise(16, 16, 3)), "TIFF"),
    saved(Image.fromarray(noise(16, 16, 3)), "TIFF", compression="tiff_lzw"),
    saved(Image.fromarray(noise(16, 16, 3)), "TIFF", compression="jpeg"),
    saved(Image.fromarray(noise(16, 16) > 99), "TIFF", compression="group4"),
]


@pytest.mark.parametrize("file", range(len(FILES)))
def test_damaged_files_are_told_or_answered(file: int) -> None:
    """Cut short or with bytes changed, a file gives a picture or a refusal, never another exception."""
    chance = random.Random(file)
    whole = FILES[file]
    for _ in range(150):
        damaged = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.randrange(6)):
            if damaged:
                # Headers are where the parsing is.
                place = chance.randrange(min(len(damaged), chance.choice([64, 300, len(damaged)])))
                damaged[place] = chance.choice([0, 1, 127, 128, 255, chance.randrange(256)])
        # As in production, where a warning of Pillow's is no error.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                picture = decoded(bytes(damaged), COLOUR_8X8)
            except (MalformedBody, TooLarge):
                continue
        assert picture.pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("file", [0, 2, 4, 6, 7])
def test_a_file_cut_in_half_is_refused(file: int) -> None:
    """Half a picture is not answered as if it were whole."""
    with pytest.raises(MalformedBody, match="damaged"):
        decoded(FILES[file][: len(FILES[file]) // 2], COLOUR_8X8)


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG written by hand: what Pillow does not write."""
    stride = len(rows) // height if rows else 0
    filtered = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height if rows else 0))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
