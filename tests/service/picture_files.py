"""Picture files made by hand, sound and damaged ones, and what the service makes of them."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.picture import Canvas, Picture, open_picture

LIMIT = 1_000_000

COLOUR_8X8 = Canvas(8, 8, 3, "stretch")

GREY_8X8 = Canvas(8, 8, 1, "stretch")


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    """Random bytes."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, kind: int, rows: bytes, told: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG written by hand: what Pillow does not write."""
    stride = len(rows) // height if rows else 0
    filtered = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height if rows else 0))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *told, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def decoded(content: bytes, canvas: Canvas) -> Picture:
    """What the service makes of the file."""
    return open_picture(content, LIMIT).decode(canvas)


def assert_close(actual: NDArray[Any], expected: NDArray[Any], most: float = 1.5) -> None:
    """Pillow rounds after each of its two passes, so a value may be one off."""
    assert actual.shape == expected.shape
    assert np.abs(actual.astype(float) - expected).max() <= most


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
