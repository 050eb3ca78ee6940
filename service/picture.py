"""An image file → a model's input, and the rectangle of the picture that this input covers."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile

from models.contract import Fit
from service.giving_way import GivingWay
from service.picture_cost import check_cost
from service.problems import MalformedBody, TooLarge

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# Decoded alone, so that many at once cannot fill the memory.
LARGE_PIXELS = 4_000_000
# So much of a file is decoded before others are given way: a photograph's in half a millisecond.
PART_BYTES = 32 * 1024
# A JPEG is decoded at least this many times larger than needed: its own reduction is a coarse filter.
JPEG_MARGIN = 2
# A picture is converted in bands of rows of about this size: beside it and the result only a band's copies are held.
BAND_PIXELS = 500_000

# By the form in which a PNG's grey is stored.
GREY_SCALES = {"L;2": 85, "L;4": 17}

# Pillow's own limit warns and fails for the whole process; here the limit is a setting, checked in open_picture.
Image.MAX_IMAGE_PIXELS = None

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNS_THAT_SWAP_SIDES = (5, 6, 7, 8)

# What Pillow's plugins run into in hostile files. A warning is among them where warnings are errors.
PILLOW_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    EOFError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zlib.error,
    ImageCms.PyCMSError,
)

Box = tuple[float, float, float, float]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Canvas:
    """What a model takes: rows × columns × channels (1 or 3), and how another shape is brought to it."""

    rows: int
    columns: int
    channels: int
    fit: Fit


@dataclass(frozen=True)
class Picture:
    """A decoded picture: pixels (row, column, channel), and of what they are: the size received, after the EXIF turn,
    and the rectangle (left, top, right, bottom) of it that the pixels cover, edges, in its own pixels.
    """

    pixels: Pixels
    width: int
    height: int
    region: Box

    @property
    def description(self) -> dict[str, object]:
        """The `image` member of an answer."""
        return {"width": self.width, "height": self.height, "region": list(self.region)}


@dataclass(frozen=True)
class _Layout:
    """The part of the picture that is resized, the size it is resized to, and where that lies on the canvas."""

    box: Box
    width: int
    height: int
    left: int
    top: int


@dataclass(frozen=True)
class OpenPicture:
    """A picture of which only the header was read."""

    image: Image.Image

    @property
    def is_large(self) -> bool:
        """Whether it should be decoded alone."""
        return self.image.width * self.image.height > LARGE_PIXELS

    def decode(self, canvas: Canvas) -> Picture:
        """The model's input: uint8, black where the picture does not reach. Raises MalformedBody."""
        try:
            return _decode(self.image, canvas)
        except PILLOW_ERRORS as error:
            raise MalformedBody(f"the {self.image.format} file is damaged or cut short") from error


def thumbnail(opened: OpenPicture, picture: Picture, most: int) -> bytes:
    """The whole picture for people, as PNG: as it was decoded, upright and over black, at most `most` pixels a side.
    `picture`: what came of it before. Raises MalformedBody.
    """
    scale = min(1, most / max(picture.width, picture.height))
    columns, rows = (max(1, round(side * scale)) for side in (picture.width, picture.height))
    written = io.BytesIO()
    Image.fromarray(opened.decode(Canvas(rows, columns, 3, "stretch")).pixels).save(written, "PNG")
    return written.getvalue()


def open_picture(content: bytes, max_pixels: int) -> OpenPicture:
    """Read the header. Raises MalformedBody where it is no picture of FORMATS, TooLarge over `max_pixels`."""
    check_cost(content)
    try:
        file = GivingWay(content) if len(content) > PART_BYTES else io.BytesIO(content)
        image = Image.open(file, formats=FORMATS)
    except PILLOW_ERRORS as error:
        raise MalformedBody(f"this is not an image file, or a damaged one; {', '.join(FORMATS)} are read") from error
    if image.width * image.height > max_pixels:
        raise TooLarge(f"the picture has {image.width} × {image.height} pixels, at most {max_pixels} are taken")
    if not image.width or not image.height:
        raise MalformedBody("the picture has no pixels")
    image.decodermaxblock = PART_BYTES
    _scale_transparent_grey(image)
    return OpenPicture(image)


def _scale_transparent_grey(image: ImageFile.ImageFile) -> None:
    # Pillow widens 2 and 4 bits of grey to 8, and leaves the grey that a PNG calls transparent as it was.
    transparent = image.info.get("transparency")
    scale = GREY_SCALES.get(str(image.tile[0].args)) if image.format == "PNG" and image.tile else None
    if scale and isinstance(transparent, int):
        image.info["transparency"] = transparent * scale


def _decode(image: Image.Image, canvas: Canvas) -> Picture:
    reduced = image.format in ("JPEG", "MPO")
    # Only a JPEG tells its turn before its pixels; a TIFF is turned by Pillow itself while it is decoded.
    turn = _turn(image) if reduced else None
    if reduced:
        layout = _layout(*_turned(image.size, turn), canvas)
        wanted = _turned((layout.width, layout.height), turn)
        size, drafted = image.size, image.draft(None, (wanted[0] * JPEG_MARGIN, wanted[1] * JPEG_MARGIN))
        # The reduced picture's last row and column may be only partly picture: the extent is a fraction.
        extent = (drafted[1][2], drafted[1][3]) if drafted else size
        image.load()
    else:
        image.load()
        turn, size, extent = _turn(image), image.size, image.size
    width, height = _turned(size, turn)
    layout = _layout(width, height, canvas)
    scaled = _scaled(image, layout, (size, extent), turn)
    return Picture(_placed(scaled, layout, canvas), width, height, _region(layout, canvas))


def _turn(image: Image.Image) -> int | None:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except PILLOW_ERRORS:
        # Cameras and editors write broken EXIF beside sound pixels: such a picture stands as it is stored.
        return None
    return orientation if orientation in TURNS else None


def _turned(size: tuple[int, int], turn: int | None) -> tuple[int, int]:
    return (size[1], size[0]) if turn in TURNS_THAT_SWAP_SIDES else size


def _layout(width: int, height: int, canvas: Canvas) -> _Layout:
    columns, rows = canvas.columns, canvas.rows
    whole = (0.0, 0.0, float(width), float(height))
    if canvas.fit == "stretch":
        return _Layout(whole, columns, rows, 0, 0)
    if canvas.fit == "crop":
        wide, high = min(width, height * columns / rows), min(height, width * rows / columns)
        left, top = (width - wide) / 2, (height - high) / 2
        return _Layout((left, top, left + wide, top + high), columns, rows, 0, 0)
    scale = min(columns / width, rows / height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    return _Layout(whole, inner_width, inner_height, (columns - inner_width) // 2, (rows - inner_height) // 2)


def _region(layout: _Layout, canvas: Canvas) -> Box:
    left, top, right, bottom = layout.box
    across, down = (right - left) / layout.width, (bottom - top) / layout.height
    return (
        left - layout.left * across,
        top - layout.top * down,
        right + (canvas.columns - layout.left - layout.width) * across,
        bottom + (canvas.rows - layout.top - layout.height) * down,
    )


def _scaled(
    image: Image.Image, layout: _Layout, sizes: tuple[tuple[int, int], tuple[float, float]], turn: int | None
) -> Image.Image:
    """The part of the layout, resized and turned. Turned last, when it is small: the part lies in the picture's middle,
    so its place is the same before and after a turn but for the sides' names.
    """
    (width, height), (extent_width, extent_height) = sizes
    left, top, right, bottom = layout.box
    if turn in TURNS_THAT_SWAP_SIDES:
        left, top, right, bottom = top, left, bottom, right
    across, down = extent_width / width, extent_height / height
    box = (left * across, top * down, min(right * across, image.width), min(bottom * down, image.height))
    size = _turned((layout.width, layout.height), turn)
    # Pillow's bilinear filter widens with the reduction: it antialiases, and makes no values that were not there.
    scaled = _eight_bits(image).resize(size, Image.Resampling.BILINEAR, box)
    return scaled.transpose(TURNS[turn]) if turn else scaled


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey (L), colour (RGB), or colour over black (RGBa: already multiplied by its opacity)."""
    mode, converted = _conversion(image)
    if image.mode == mode:
        return image
    result = Image.new(mode, image.size)
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        result.paste(converted(band), (0, top))
    return result


def _conversion(image: Image.Image) -> tuple[str, Callable[[Image.Image], Image.Image]]:
    """The mode that a picture is brought to, and how."""
    if image.mode == "F":
        return "L", _grey_of_floats
    if image.mode.startswith("I"):
        # Pillow's own way to its transparency goes through 8 bits, where all but the darkest are white.
        return "L", partial(_grey_of_integers, transparent=image.info.get("transparency"))
    if image.mode != "RGBa" and image.has_transparency_data:
        return "RGBa", _over_black
    if image.mode == "LAB":
        lab = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return "RGB", lambda band: ImageCms.applyTransform(band, lab) or band
    mode = image.mode if image.mode in ("L", "RGB", "RGBa") else "L" if image.mode == "1" else "RGB"
    return mode, lambda band: band.convert(mode)


def _over_black(band: Image.Image) -> Image.Image:
    # Converting to its own mode would copy it.
    return (band if band.mode == "RGBA" else band.convert("RGBA")).convert("RGBa")


def _grey_of_floats(band: Image.Image) -> Image.Image:
    # Floating-point grey has no agreed range; 0 to 1 is what imaging libraries write. Not a number is black.
    return _grey(np.nan_to_num(np.asarray(band, np.float32), nan=0, posinf=1, neginf=0) * np.float32(255))


def _grey_of_integers(band: Image.Image, transparent: object) -> Image.Image:
    # I;16 and its byte orders, and I: 32 bits wide, but what is kept in it is 16-bit grey. 257 × 255 = 65535.
    values = np.asarray(band)
    if isinstance(transparent, int):
        values = np.where(values == transparent, 0, values)
    return _grey(values.astype(np.float32) / np.float32(257))


def _grey(values: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))


def _placed(scaled: Image.Image, layout: _Layout, canvas: Canvas) -> Pixels:
    wanted = "L" if canvas.channels == 1 else "RGB"
    if scaled.mode == "RGBa":
        scaled = Image.fromarray(np.ascontiguousarray(np.asarray(scaled)[..., :3]))
    pixels = np.zeros((canvas.rows, canvas.columns, canvas.channels), np.uint8)
    part = np.asarray(scaled if scaled.mode == wanted else scaled.convert(wanted))
    rows, columns = slice(layout.top, layout.top + layout.height), slice(layout.left, layout.left + layout.width)
    pixels[rows, columns] = part.reshape(layout.height, layout.width, canvas.channels)
    return pixels
