"""An image file → a model's input, and the rectangle of the picture that this input covers."""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from models.contract import Fit
from service.problems import MalformedBody, TooLarge

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
# Decoded alone, so that many at once cannot fill the memory.
LARGE_PIXELS = 4_000_000
# A JPEG is decoded at least this many times larger than needed: its own reduction is a coarse filter.
JPEG_MARGIN = 2

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


def open_picture(content: bytes, max_pixels: int) -> OpenPicture:
    """Read the header. Raises MalformedBody where it is no picture of FORMATS, TooLarge over `max_pixels`."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except PILLOW_ERRORS as error:
        raise MalformedBody(f"this is not an image file, or a damaged one; {', '.join(FORMATS)} are read") from error
    if image.width * image.height > max_pixels:
        raise TooLarge(f"the picture has {image.width} × {image.height} pixels, at most {max_pixels} are taken")
    if not image.width or not image.height:
        raise MalformedBody("the picture has no pixels")
    return OpenPicture(image)


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
    if image.mode != "RGBa" and image.has_transparency_data:
        # Converting to its own mode would copy it.
        return (image if image.mode == "RGBA" else image.convert("RGBA")).convert("RGBa")
    if image.mode == "F":
        # Floating-point grey has no agreed range; 0 to 1 is what imaging libraries write. Not a number is black.
        return _grey(np.nan_to_num(np.asarray(image), nan=0, posinf=1, neginf=0) * np.float32(255))
    if image.mode.startswith("I"):
        # I;16 and its byte orders, and I: 32 bits wide, but what is kept in it is 16-bit grey. 257 × 255 = 65535.
        return _grey(np.asarray(image) / np.float32(257))
    if image.mode == "LAB":
        lab = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        return ImageCms.applyTransform(image, lab) or image
    return image if image.mode in ("L", "RGB", "RGBa") else image.convert("L" if image.mode == "1" else "RGB")


def _grey(values: NDArray[np.floating]) -> Image.Image:
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
