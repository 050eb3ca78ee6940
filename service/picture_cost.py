"""What an image file would cost to read, told from its bytes. Small files can be made to cost minutes or gigabytes."""

import re
import struct

from service.problems import MalformedBody

# A progressive JPEG goes over all its pixels once a scan. Encoders write about ten; previews in the file count too.
MAX_JPEG_SCANS = 100
# Segments beside the pixels. A profile takes a few hundred; its own bytes look like a marker now and then.
MAX_JPEG_SEGMENTS = 10_000
# Strips or tiles, of which Pillow keeps a list: one a row of the tallest picture that is taken.
MAX_TIFF_PARTS = 100_000

JPEG_SEGMENT = re.compile(rb"\xff[\xe0-\xef\xfe]")
TIFF_PART_OFFSETS = (273, 324)  # the tags StripOffsets and TileOffsets


# A PNG up to here is decoded in less time than a thread takes to begin. The worst that can be made of so few bytes
# is some milliseconds.
QUICK_BYTES = 4096
QUICK_PIXELS = 128 * 128
PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def is_quick(content: bytes) -> bool:
    """Whether it is a PNG so small that it need not leave the event loop."""
    if len(content) > QUICK_BYTES or not content.startswith(PNG_HEAD) or len(content) < 24:
        return False
    width, height = struct.unpack_from(">II", content, len(PNG_HEAD))
    return bool(width * height <= QUICK_PIXELS)


def check_cost(content: bytes) -> None:
    """Raise MalformedBody for a file that no encoder writes. What is sound or simply broken is left to the decoder."""
    if content[:2] == b"\xff\xd8":
        _check_jpeg(content)
    elif content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        _check_tiff(content)


def _check_jpeg(content: bytes) -> None:
    # Within the pixels' own data FF is followed by 00, so that these pairs are markers.
    if content.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise MalformedBody(f"the JPEG has more than {MAX_JPEG_SCANS} scans")
    if sum(1 for _ in JPEG_SEGMENT.finditer(content)) > MAX_JPEG_SEGMENTS:
        raise MalformedBody(f"the JPEG has more than {MAX_JPEG_SEGMENTS} segments")


def _check_tiff(content: bytes) -> None:
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2:4] in (b"+\0", b"\0+")
    start, count, entry = (
        (f"{order}8xQ", f"{order}Q", f"{order}HHQ8x") if is_big else (f"{order}4xI", f"{order}H", f"{order}HHI4x")
    )
    try:
        (directory,) = struct.unpack_from(start, content)
        (entries,) = struct.unpack_from(count, content, directory)
        first = directory + struct.calcsize(count)
        for place in range(min(entries, 65_536)):
            tag, _, values = struct.unpack_from(entry, content, first + place * struct.calcsize(entry))
            if tag in TIFF_PART_OFFSETS and values > MAX_TIFF_PARTS:
                raise MalformedBody(f"the TIFF is in more than {MAX_TIFF_PARTS} strips or tiles")
    except (struct.error, OverflowError):
        return  # cut short: the decoder says so
