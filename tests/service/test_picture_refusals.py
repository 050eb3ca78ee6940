"""Picture files that are none, are damaged, or have too many pixels."""

import random
import warnings

import numpy as np
import pytest
from PIL import Image

from service.picture import open_picture
from service.problems import MalformedBody, TooLarge
from tests.service.picture_files import COLOUR_8X8, FILES, GREY_8X8, LIMIT, assert_close, decoded, png, saved


def test_broken_exif_does_not_cost_the_picture() -> None:
    """Sound pixels beside EXIF that cannot be read are answered as they are stored."""
    image = Image.new("L", (8, 8), 200)
    broken = saved(image, "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01")
    nonsense = saved(image, "JPEG", exif=b"Exif\x00\x00nonsense")

    for content in (broken, nonsense):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_close(decoded(content, GREY_8X8).pixels, np.full((8, 8, 1), 200.0))


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
