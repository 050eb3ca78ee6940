"""Memory of a worker process: bounded whatever is sent, and given back. compose.yaml's limit rests on these figures."""

import http.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.service.patience import PATIENCE_SECONDS
from tests.service.picture_files import saved
from tests.service.processes import greeting, port_of, process


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
    repository: Path, mode: str, kind: str, options: dict[str, Any], bytes_a_pixel: int
) -> None:
    """At the pixel limit: the picture as Pillow holds it, once more in eight bits, and little beside them. WebP's own
    decoder holds three more. The container's memory limit rests on these figures.
    """
    picture = saved(Image.new(mode, (4000, 3000)), kind, **options)
    with process(repository, HEED_MAX_IMAGE_PIXELS="12000000") as started:
        port = port_of(greeting(started))
        before = resident_megabytes(started.pid, "VmRSS")
        status = post(port, "/predict/image", picture)
        highest = resident_megabytes(started.pid, "VmHWM")

    assert status == 200
    assert highest - before < 12 * bytes_a_pixel + 30


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
def test_memory_of_hostile_json_is_bounded(repository: Path, path: str, form: bytes, lists: int) -> None:
    """Empty lists cost a parser a hundred times their bytes: many are counted and not parsed, fewer are held."""
    content = form % (b"[]," * lists)[:-1]
    with process(repository, HEED_MAX_BODY_BYTES=str(2**24)) as started:
        port = port_of(greeting(started))
        before = resident_megabytes(started.pid, "VmRSS")
        status = post(port, path, content, "application/json")
        highest = resident_megabytes(started.pid, "VmHWM")

    assert status == 422
    assert highest - before < 130
