"""The data sets are what they say: the known column, the known box, the official files."""

import base64
import gzip
import io
import struct
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from export.datasets import idx_files
from export.datasets.column import Column
from export.datasets.digits import TEST_DIGITS, Digits
from export.datasets.idx_files import IdxFiles
from export.datasets.pictures import shifted
from export.errors import DatasetError


def test_column_tells_the_label_and_nothing_else_does() -> None:
    """x ~ N(0, 10²), y a fair coin, and x[:, column, :] = y."""
    data = Column(seed=3, samples=20_000, attention_column=7)
    drawn = data.epoch(np.random.default_rng(0))

    others = np.delete(drawn.inputs, 7, axis=1)

    np.testing.assert_array_equal(drawn.inputs[:, 7, :], np.repeat(drawn.targets[:, None], 2, axis=1))
    assert others.std() == pytest.approx(10, rel=0.02)
    assert abs(others.mean()) < 0.1
    assert drawn.targets.mean() == pytest.approx(0.5, abs=0.02)
    assert (len(drawn), len(data.held_out())) == (18_000, 2_000)


def test_column_is_repeatable_and_its_hash_says_so() -> None:
    """The same fields, the same numbers; another seed, other numbers; fresh samples are neither."""
    assert Column(1, 1000).card() == Column(1, 1000).card()
    assert Column(1, 1000).card().sha256 != Column(2, 1000).card().sha256
    fresh = Column(1, 1000).fresh(100, seed=5)
    assert not np.isin(fresh.inputs[:, 0, 0], Column(1, 1000).epoch(np.random.default_rng(0)).inputs[:, 0, 0]).any()


def _surface(ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a digit on a ground that rises or falls is made of: (pixel, term)."""
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]].reshape(2, -1)
    return np.stack([np.ones_like(x), x, y, ink.ravel(), ink.ravel() * x, ink.ravel() * y], axis=1).astype(float)


def test_the_box_holds_the_digit_alone() -> None:
    """Inside the box every pixel is the original digit up to ground and contrast: no clutter is among it."""
    drawn = Digits(canvases_per_test_digit=1).held_out()
    originals, targets = load_digits(return_X_y=True)
    assert drawn.boxes is not None
    residuals = []

    for picture, (left, top, right, bottom), original in zip(
        drawn.inputs, drawn.boxes, originals[-TEST_DIGITS:], strict=True
    ):
        assert 13 <= right - left == bottom - top <= 19
        inside = picture[top:bottom, left:right, 0].astype(float)
        pixels = Image.fromarray((original.reshape(8, 8) / 16).astype(np.float32))
        ink = (
            np.asarray(pixels.transform(inside.shape, Image.Transform.EXTENT, (0, 0, 8, 8), Image.Resampling.BICUBIC))
            .clip(0, 1)
            .astype(float)
        )
        terms = _surface(ink)
        fitted = terms @ np.linalg.lstsq(terms, inside.ravel(), rcond=None)[0]
        residuals.append(np.abs(fitted - inside.ravel()).max())

    np.testing.assert_array_equal(drawn.targets, targets[-TEST_DIGITS:])
    assert max(residuals) < 6  # of 255; a piece of clutter is 40 and more


def test_black_empty_grounds_are_empty_outside_the_box() -> None:
    """One ground in five is black and carries no clutter."""
    drawn = Digits(canvases_per_test_digit=1).held_out()
    assert drawn.boxes is not None
    outside = drawn.inputs[:, :, :, 0].copy()
    for picture, (left, top, right, bottom) in zip(outside, drawn.boxes, strict=True):
        picture[top:bottom, left:right] = 0

    assert (outside.max(axis=(1, 2)) == 0).mean() == pytest.approx(0.2, abs=0.06)


class _InkIn(Digits):
    """The same canvases, but only the digits of one split have ink, all over; the others are blank."""

    is_test_inked: bool

    @cached_property
    def _originals(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        targets = load_digits(return_X_y=True)[1].astype(np.int64)
        is_test = np.arange(len(targets)) >= len(targets) - TEST_DIGITS
        inked = is_test if self.is_test_inked else ~is_test
        return np.repeat(inked, 64).reshape(-1, 8, 8).astype(np.float32), targets


class _InkInTest(_InkIn):
    is_test_inked = True


class _InkInTraining(_InkIn):
    is_test_inked = False


def test_training_and_test_share_no_digit_and_no_clutter() -> None:
    """With ink in the other split's digits alone, every canvas is bare ground: nothing jumps from pixel to pixel."""
    trained = _InkInTest(canvases_per_epoch=400).epoch(np.random.default_rng(1)).inputs.astype(int)
    tested = _InkInTraining(canvases_per_test_digit=1).held_out().inputs.astype(int)
    inked = _InkInTraining(canvases_per_epoch=400).epoch(np.random.default_rng(1)).inputs.astype(int)

    assert np.abs(np.diff(trained, axis=1)).max() <= 3
    assert np.abs(np.diff(tested, axis=1)).max() <= 3
    assert np.abs(np.diff(inked, axis=1)).max() > 40


def test_every_epoch_draws_new_canvases() -> None:
    """Another generator, other canvases; the same, the same ones."""
    data = Digits(canvases_per_epoch=500)
    first, second = (data.epoch(np.random.default_rng(seed)) for seed in (1, 2))
    again = data.epoch(np.random.default_rng(1))

    assert not np.array_equal(first.inputs, second.inputs)
    np.testing.assert_array_equal(first.inputs, again.inputs)
    assert first.inputs.shape == (500, 40, 40, 1)
    assert first.inputs.dtype == np.uint8


def test_shifted_moves_and_mirrors_but_invents_nothing() -> None:
    """A marked pixel lands within the shift, black comes in, and a mirrored picture is one of the two."""
    pictures = np.zeros((400, 9, 9, 1), np.uint8)
    pictures[:, 4, 2] = 200

    moved = shifted(pictures, 2, True, np.random.default_rng(0))

    assert (moved.sum(axis=(1, 2, 3)) == 200).all()
    rows, columns = np.nonzero(moved[:, :, :, 0].sum(axis=0))
    assert set(rows) == {2, 3, 4, 5, 6}
    assert set(columns) == set(range(0, 5)) | set(range(4, 9))


def test_request_body_is_the_picture() -> None:
    """The PNG in a published sample decodes to the very pixels."""
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 1)).astype(np.uint8)

    body = Digits().request_body(picture)["image"]
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))

    np.testing.assert_array_equal(decoded, picture[:, :, 0])


def _write_idx(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    for split in ("train", "t10k"):
        pixels = gzip.compress(struct.pack(">4i", 2051, 1, 28, 28) + bytes(784))
        (folder / name / f"{split}-images-idx3-ubyte.gz").write_bytes(pixels)
        (folder / name / f"{split}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">2i", 2049, 1) + b"\x03")
        )


def test_a_local_file_that_is_not_the_official_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content's checksum decides, whoever provides it."""
    _write_idx(tmp_path, "mnist")
    monkeypatch.setenv("HEED_DATA", str(tmp_path))

    with pytest.raises(DatasetError, match=r"t10k-images.*checksum differs"):
        IdxFiles("mnist").held_out()


@pytest.mark.parametrize("content", [b"", b"rubbish", gzip.compress(bytes(1000), mtime=0)[:-9]])
def test_a_local_file_that_is_damaged_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Which file it is, not only what gzip thinks of it."""
    _write_idx(tmp_path, "mnist")
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    monkeypatch.setenv("HEED_DATA", str(tmp_path))

    with pytest.raises(DatasetError, match=r"t10k-images-idx3-ubyte.gz (cannot be read|is not)"):
        IdxFiles("mnist").held_out()


def test_a_data_set_that_cannot_be_had_names_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither folder nor network: one error that says what to do."""
    monkeypatch.setenv("HEED_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = idx_files.SOURCES["fashion-mnist"]
    unreachable = ("http://127.0.0.1:9/",)  # the discard port: nothing listens there
    monkeypatch.setitem(
        idx_files.SOURCES, "fashion-mnist",
        idx_files.Source(unreachable, source.labels, source.licence, source.flip, source.files),
    )  # fmt: skip

    with pytest.raises(DatasetError, match=r"HEED_DATA.*fashion-mnist/t10k-images.*or let this machine reach http"):
        IdxFiles("fashion-mnist").held_out()
