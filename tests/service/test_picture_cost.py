"""Small files that would cost minutes or gigabytes are refused before they are decoded; sound ones never are."""

import io
import struct

import pytest
from PIL import Image

from service.picture import Canvas, open_picture
from service.picture_cost import MAX_JPEG_SCANS, MAX_TIFF_PARTS, check_cost
from service.problems import MalformedBody
from tests.service.picture_files import noise, saved

CANVAS = Canvas(8, 8, 1, "stretch")


def _progressive(scans: int) -> bytes:
    """A progressive JPEG whose last scan stands there again and again."""
    content = saved(Image.new("L", (200, 200), 128), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * scans + content[-2:]


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    """58 kB of it took six seconds to decode."""
    with pytest.raises(MalformedBody, match=f"more than {MAX_JPEG_SCANS} scans"):
        open_picture(_progressive(3000), 10**6)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"progressive": True, "quality": 100}])
def test_what_encoders_write_is_decoded(options: dict[str, object]) -> None:
    """Noise in full quality, the most bytes that a picture has."""
    picture = open_picture(saved(Image.fromarray(noise(500, 700, 3)), "JPEG", **options), 10**6)

    assert picture.decode(CANVAS).pixels.shape == (8, 8, 1)


def test_a_jpeg_of_empty_segments_is_refused() -> None:
    """Each one becomes an object."""
    content = saved(Image.new("L", (8, 8)), "JPEG")

    with pytest.raises(MalformedBody, match="segments"):
        open_picture(content[:2] + b"\xff\xe1\x00\x02" * 20_000 + content[2:], 10**6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag", [273, 324])
def test_a_tiff_in_more_parts_than_rows_is_refused(order: str, tag: int) -> None:
    """Told from the directory alone: reading the list of parts is what takes the time."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}HHHII", 1, tag, 4, MAX_TIFF_PARTS + 1, 100)

    with pytest.raises(MalformedBody, match="strips or tiles"):
        check_cost(magic + struct.pack(f"{order}I", 8) + directory + bytes(4))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_sound_tiffs_are_decoded(compression: str | None) -> None:
    """Strips as Pillow writes them."""
    content = saved(Image.fromarray(noise(200, 300, 3)), "TIFF", compression=compression)

    assert open_picture(content, 10**6).decode(CANVAS).pixels.any()


@pytest.mark.parametrize("length", [0, 3, 8, 9, 11, 20])
def test_a_tiff_cut_short_is_left_to_the_decoder(length: int) -> None:
    """It says that the file is damaged, not that it costs too much."""
    content = io.BytesIO()
    Image.new("L", (4, 4)).save(content, "TIFF")

    with pytest.raises(MalformedBody, match=r"not an image file|damaged"):
        open_picture(content.getvalue()[:length], 10**6).decode(CANVAS)
