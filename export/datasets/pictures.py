"""Pictures as arrays: random shifts and flips for training, and PNG files for requests."""

import base64
import io
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image

from export.datasets.dataset import Inputs


def picture_body(row: Inputs) -> dict[str, Any]:
    """(row, column, channel) uint8 → {"image": base64 of a PNG}."""
    file = io.BytesIO()
    Image.fromarray(row[:, :, 0] if row.shape[2] == 1 else row).save(file, "PNG", optimize=True)
    return {"image": base64.b64encode(file.getvalue()).decode()}


def shifted(pictures: Inputs, pixels: int, flip: bool, random: Generator) -> Inputs:
    """(sample, row, column, channel), each moved by up to `pixels` up, down, left, right, black coming in; with `flip`
    half of them mirrored."""
    count, rows, columns, _ = pictures.shape
    padded = np.pad(pictures, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    down, right = random.integers(0, 2 * pixels + 1, (2, count))
    along = np.tile(np.arange(columns), (count, 1))
    if flip:
        along = np.where(random.random((count, 1)) < 0.5, along[:, ::-1], along)
    from_row = np.arange(rows)[None, :] + down[:, None]
    from_column = along + right[:, None]
    moved: Inputs = padded[np.arange(count)[:, None, None], from_row[:, :, None], from_column[:, None, :]]
    return moved
