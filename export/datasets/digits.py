"""`digits`: scikit-learn's handwritten digits on a larger canvas among clutter: the place to look at is known."""

import hashlib
import importlib.resources
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from export.datasets.dataset import DataCard, Inputs, Samples
from export.datasets.pictures import picture_body

Floats = NDArray[np.float32]

SIZES = range(13, 20)
PIECE_SIZES = range(4, 7)
MAX_PIECES = 7
EMPTY_SHARE = 0.2
SLANTS = (0.0, -0.2, 0.2)  # horizontal shift for each row: training digits lean as other writers' do
TEST_DIGITS = 360  # the last ones, by other writers than the rest


@dataclass(frozen=True)
class Digits:
    """Grey pictures (canvas, canvas, 1) with one digit of 13 to 19 pixels anywhere, in bright ink.

    Ground and contrast vary, and one ground in five is black and empty; the others carry up to seven pieces of other
    digits, none of which touches the digit's box. Every epoch draws new canvases from the training digits; training
    and test share no digit.
    """

    canvas: int = 40
    canvases_per_epoch: int = 1408
    canvases_per_test_digit: int = 10

    @property
    def labels(self) -> tuple[str, ...]:
        """The ten digits."""
        return tuple("0123456789")

    def card(self) -> DataCard:
        """The hash is that of the file that scikit-learn carries."""
        file = importlib.resources.files("sklearn.datasets.data").joinpath("digits.csv.gz")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return DataCard("digits", digest, "CC BY 4.0, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository")

    def epoch(self, random: Generator) -> Samples:
        """New canvases, each with a random training digit."""
        chosen = random.integers(0, self._first_test_digit, self.canvases_per_epoch)
        return self._draw(chosen, slice(0, self._first_test_digit), random)

    def held_out(self) -> Samples:
        """Every test digit on several canvases, always the same ones, the first of each digit first."""
        return self._held_out

    @cached_property
    def _held_out(self) -> Samples:
        first = self._first_test_digit
        chosen = np.tile(np.arange(first, first + TEST_DIGITS), self.canvases_per_test_digit)
        return self._draw(chosen, slice(first, first + TEST_DIGITS), np.random.default_rng(0))

    def request_body(self, row: Inputs) -> dict[str, Any]:
        """{"image": base64 of a PNG}."""
        return picture_body(row)

    @property
    def _first_test_digit(self) -> int:
        return len(self._targets) - TEST_DIGITS

    @cached_property
    def _targets(self) -> NDArray[np.int64]:
        return self._originals[1]

    @cached_property
    def _originals(self) -> tuple[Floats, NDArray[np.int64]]:
        from sklearn.datasets import load_digits  # takes a second to import, and the fingerprint does not need it

        pixels, targets = load_digits(return_X_y=True)
        return pixels.reshape(-1, 8, 8).astype(np.float32) / 16, targets.astype(np.int64)

    @cached_property
    def _enlarged(self) -> dict[int, Floats]:
        """By size, every digit upright, then slanted each way: (slant, digit, size, size), ink between 0 and 1."""
        pictures = [Image.fromarray(pixels) for pixels in self._originals[0]]
        return {
            size: np.stack([[np.asarray(_slanted(picture, size, slant)) for picture in pictures] for slant in SLANTS])
            .clip(0, 1)
            .astype(np.float32)
            for size in SIZES
        }

    def _draw(self, chosen: NDArray[np.int64], split: slice, random: Generator) -> Samples:
        count = len(chosen)
        sizes = random.integers(SIZES.start, SIZES.stop, count)
        lefts, tops = (random.integers(0, self.canvas - sizes + 1) for _ in range(2))
        boxes = np.stack([lefts, tops, lefts + sizes, tops + sizes], axis=1)
        empty = random.random(count) < EMPTY_SHARE
        ink = np.zeros((count, self.canvas, self.canvas), np.float32)
        slants = random.integers(0, len(SLANTS), count) if split.start == 0 else np.zeros(count, np.int64)
        for canvas, slant, digit, (left, top, right, bottom) in zip(
            ink, slants.tolist(), chosen.tolist(), boxes.tolist(), strict=True
        ):
            canvas[top:bottom, left:right] = self._enlarged[right - left][slant, digit]
        self._scatter_pieces(ink, boxes, np.where(empty, 0, random.integers(0, MAX_PIECES + 1, count)), split, random)
        return Samples(self._develop(ink, empty, random)[..., None], self._targets[chosen], boxes)

    def _scatter_pieces(
        self, ink: Floats, boxes: NDArray[np.int64], numbers: NDArray[np.int64], split: slice, random: Generator
    ) -> None:
        """Put crops of other digits of the same split where they keep off the box; one that finds no place is left out.

        Everything random is drawn at once: drawing piece by piece takes as long as a quarter of the training.
        """
        canvases = np.repeat(np.arange(len(ink)), numbers)  # (piece,)
        count = len(canvases)
        sizes = random.integers(PIECE_SIZES.start, PIECE_SIZES.stop, count)
        sources = random.integers(SIZES.start, SIZES.stop, count)
        digits = random.integers(split.start, split.stop, count)
        rows, columns = (random.integers(0, sources - sizes + 1) for _ in range(2))
        tries = (2, count, 8)
        xs, ys = (random.random(tries) * (self.canvas - sizes + 1)[:, None]).astype(np.int64)  # (piece, try)
        left, top, right, bottom = boxes[canvases].T[:, :, None]
        extent = sizes[:, None]
        is_free = (xs + extent <= left) | (xs >= right) | (ys + extent <= top) | (ys >= bottom)
        taken = np.arange(count), is_free.argmax(axis=1)
        pieces = np.stack([canvases, sizes, sources, digits, rows, columns, xs[taken], ys[taken]], axis=1)
        for canvas, size, source, digit, row, column, x, y in pieces[is_free.any(axis=1)].tolist():
            piece = self._enlarged[source][0, digit, row : row + size, column : column + size]
            place = ink[canvas, y : y + size, x : x + size]
            np.maximum(place, piece, out=place)

    def _develop(self, ink: Floats, empty: NDArray[np.bool_], random: Generator) -> NDArray[np.uint8]:
        """Ink on a ground that rises or falls across the canvas, at a contrast of its own."""
        count = len(ink)
        place = np.linspace(-0.5, 0.5, self.canvas, dtype=np.float32)
        slopes = random.uniform(-0.15, 0.15, (2, count, 1, 1)).astype(np.float32)
        ground = random.uniform(0.0, 0.4, (count, 1, 1)).astype(np.float32)
        ground = (ground + slopes[0] * place[None, :, None] + slopes[1] * place[None, None, :]).clip(0, 1)
        ground = np.where(empty[:, None, None], 0, ground)
        bright = random.uniform(0.65, 1.0, (count, 1, 1)).astype(np.float32)
        grey = ground + ink * (bright - ground).clip(0.2)
        pixels: NDArray[np.uint8] = (grey.clip(0, 1) * 255).round().astype(np.uint8)
        return pixels


def _slanted(picture: Image.Image, size: int, slant: float) -> Image.Image:
    """Enlarged to size × size, each row moved by `slant` times its distance from the middle row."""
    scale = picture.width / size
    matrix = (scale, -slant * scale, slant * scale * size / 2, 0, scale, 0)
    return picture.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
