"""`mnist` and `fashion-mnist`: the official files, from a local folder or downloaded once, checked in both cases."""

import gzip
import hashlib
import os
import sys
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pooch
import requests
from numpy.random import Generator
from numpy.typing import NDArray

from export.datasets.dataset import DataCard, Inputs, Samples
from export.datasets.pictures import picture_body, shifted
from export.errors import DatasetError

Name = Literal["mnist", "fashion-mnist"]
IMAGES, LABELS = "{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz"
HEADER_BYTES = {IMAGES: 16, LABELS: 8}


@dataclass(frozen=True)
class Source:
    """Where the official release lies, and its labels.

    files: (MD5 of the official gzip file, which a download has to have; SHA-256 of its content, which every copy has
    to have: the wrapping of a local one may differ).
    """

    addresses: tuple[str, ...]
    labels: tuple[str, ...]
    licence: str
    flip: bool
    files: dict[str, tuple[str, str]]


SOURCES: dict[Name, Source] = {
    "mnist": Source(
        addresses=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        labels=tuple("0123456789"),
        licence="CC BY-SA 3.0, Y. LeCun, C. Cortes and C. J. C. Burges",
        flip=False,
        files={
            "train-images-idx3-ubyte.gz": (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            "train-labels-idx1-ubyte.gz": (
                "d53e105ee54ea40749a09fcbcd1e9432",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            "t10k-images-idx3-ubyte.gz": (
                "9fb629c4189551a2d022fa330f9573f3",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "ec29112dd5afa0611ce80d1b7f02629c",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        },
    ),
    "fashion-mnist": Source(
        addresses=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        labels=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        licence="MIT, Zalando SE",
        flip=True,
        files={
            "train-images-idx3-ubyte.gz": (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            "train-labels-idx1-ubyte.gz": (
                "25c81989df183df01b3e8a0aad5dffbe",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            "t10k-images-idx3-ubyte.gz": (
                "bef4ecab320f06d8554ea6380940ec79",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "bb300cfdad3c16e7a12a480ee83cd310",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        },
    ),
}


@dataclass(frozen=True)
class IdxFiles:
    """28 × 28 grey pictures in gzipped IDX files: 60,000 to train on, 10,000 to test."""

    name: Name
    shift_pixels: int = 2

    @property
    def labels(self) -> tuple[str, ...]:
        """As the official release names them."""
        return SOURCES[self.name].labels

    def card(self) -> DataCard:
        """The hash is that of the four checked hashes."""
        source = SOURCES[self.name]
        digest = hashlib.sha256("".join(content for _, content in source.files.values()).encode())
        return DataCard(self.name, digest.hexdigest(), source.licence)

    def epoch(self, random: Generator) -> Samples:
        """All training pictures, each moved a little, and mirrored where a mirror image is as likely."""
        pictures = shifted(self._training.inputs, self.shift_pixels, SOURCES[self.name].flip, random)
        return Samples(pictures, self._training.targets)

    def held_out(self) -> Samples:
        """The official test pictures."""
        return self._held_out

    @cached_property
    def _held_out(self) -> Samples:
        return self._read("t10k")

    def request_body(self, row: Inputs) -> dict[str, Any]:
        """{"image": base64 of a PNG}."""
        return picture_body(row)

    @cached_property
    def _training(self) -> Samples:
        return self._read("train")

    def _read(self, split: str) -> Samples:
        pixels, targets = (self._values(kind, split) for kind in (IMAGES, LABELS))
        return Samples(pixels.reshape(-1, 28, 28, 1), targets.astype(np.int64))

    def _values(self, kind: str, split: str) -> NDArray[np.uint8]:
        file = kind.format(split)
        path = _locate(self.name, file)
        try:
            unpacked = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as broken:
            raise DatasetError(f"{path} cannot be read: {broken}") from broken
        if hashlib.sha256(unpacked).hexdigest() != SOURCES[self.name].files[file][1]:
            raise DatasetError(f"{self.name}: the content of {file} is not the official one: its checksum differs")
        return np.frombuffer(unpacked, np.uint8, offset=HEADER_BYTES[kind])


def _locate(name: Name, file: str) -> Path:
    """A local folder first (`HEED_DATA`), then the official addresses."""
    folder = os.environ.get("HEED_DATA")
    if folder:
        if (local := Path(folder, name, file)).is_file():
            return local
        print(f"HEED_DATA: there is no {local}, so it is downloaded", file=sys.stderr)
    source = SOURCES[name]
    downloader = pooch.HTTPDownloader(timeout=30, progressbar=False)
    for address in source.addresses:
        try:
            checksum = "md5:" + source.files[file][0]
            cache = pooch.os_cache("heed") / name
            return Path(pooch.retrieve(address + file, checksum, file, path=cache, downloader=downloader))
        except (requests.RequestException, OSError, ValueError) as refused:  # pooch: ValueError for a wrong checksum
            print(f"{address}{file}: {refused}", file=sys.stderr)
    raise DatasetError(
        f"{name}: {file} cannot be had. Either set HEED_DATA to a folder that holds {name}/{file}, "
        f"or let this machine reach {' or '.join(source.addresses)}"
    )
