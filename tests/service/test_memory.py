"""Memory of a worker process: bounded whatever is sent, and given back. compose.yaml's limit rests on these figures."""

import http.client
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.service.patience import PATIENCE_SECONDS
from tests.service.picture_files import saved
from tests.service.processes import greeting, kill, port_of, process

LIMITS = {"HEED_MAX_IMAGE_PIXELS": "12000000", "HEED_MAX_BODY_BYTES": str(2**24)}


def test_memory_of_large_pictures_is_bounded_and_given_back(repository: Path) -> None:
    """Six pictures of 64 MB each at once: decoded one after the other, and nothing of them stays."""
    picture = saved(Image.new("RGBA", (4000, 4000), (1, 2, 3, 4)))
    with process(repository) as started:
        port = port_of(greeting(started))
        before = resident_megabytes(started.pid, "VmRSS")
        with ThreadPoolExecutor(6) as pool:
            statuses = list(pool.map(lambda _: post(port, "/predict/image", picture), range(6)))
        highest = resident_megabytes(started.pid, "VmHWM")
        after = resident_megabytes(started.pid, "VmRSS")

    assert statuses == [200] * 6
    assert highest - before < 3 * 64
    assert after - before < 40


@pytest.fixture(scope="module")
def fresh(repository: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """A service for each measure, that has answered nobody before. The next two start meanwhile."""
    with ExitStack() as ended:
        ahead = [ended.enter_context(process(repository, **LIMITS)) for _ in range(2)]

        def taken() -> "subprocess.Popen[str]":
            ahead.append(ended.enter_context(process(repository, **LIMITS)))
            return ahead.pop(0)

        yield taken


@pytest.mark.parametrize(
    ("mode", "kind", "options", "bytes_a_pixel"),
    [
        ("RGBA", "PNG", {}, 8),
        ("I;16", "PNG", {}, 3),
        ("I", "TIFF", {"compression": "tiff_deflate"}, 5),
        ("F", "TIFF", {"compression": "tiff_deflate"}, 5),
        ("LAB", "TIFF", {"compression": "tiff_deflate"}, 8),
        ("CMYK", "TIFF", {"compression": "tiff_deflate"}, 8),
        ("RGBA", "WEBP", {"lossless": True, "method": 0}, 16),
    ],
)
def test_memory_of_every_mode_is_what_it_must_be(
    fresh: Callable[[], "subprocess.Popen[str]"], mode: str, kind: str, options: dict[str, Any], bytes_a_pixel: int
) -> None:
    """At the pixel limit: the picture as Pillow holds it, once more in eight bits, and little beside them. WebP's own
    decoder holds three more. The container's memory limit rests on these figures.
    """
    picture = saved(Image.new(mode, (4000, 3000)), kind, **options)

    status, added = memory_of(fresh(), "/predict/image", picture, "image/png")

    assert status == 200
    assert added < 12 * bytes_a_pixel + 30


def memory_of(started: "subprocess.Popen[str]", path: str, content: bytes, media_type: str) -> tuple[int, int]:
    """The status of the service's first answer, and the megabytes that it needed at most for it. The service ends."""
    port = port_of(greeting(started))
    before = resident_megabytes(started.pid, "VmRSS")
    status = post(port, path, content, media_type)
    highest = resident_megabytes(started.pid, "VmHWM")
    kill(started)
    return status, highest - before


def resident_megabytes(process_id: int, which: str) -> int:
    """VmRSS: now; VmHWM: the most so far."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(which))


def post(port: int, path: str, content: bytes, media_type: str = "image/png") -> int:
    """The status of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    connection.request("POST", path, content, {"Content-Type": media_type})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/predict/timeseries?model=any_length", b'{"sequence":[%s]}'),
        ("/predict/timeseries/batch", b'{"sequences":[%s]}'),
        ("/predict/image", b'{"image":[%s]}'),
        ("/predict/image/batch", b'{"images":[%s]}'),
    ],
)
@pytest.mark.parametrize("lists", [5_500_000, 430_000])
def test_memory_of_hostile_json_is_bounded(
    fresh: Callable[[], "subprocess.Popen[str]"], path: str, form: bytes, lists: int
) -> None:
    """Empty lists cost a parser a hundred times their bytes: many are counted and not parsed, fewer are held."""
    content = form % (b"[]," * lists)[:-1]

    status, added = memory_of(fresh(), path, content, "application/json")

    assert status == 422
    assert added < 130
