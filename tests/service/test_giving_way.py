"""A long decode gives way: it pauses where it was kept waiting, and loses no time where it was not."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from service.giving_way import CONTESTED_SECONDS, PAUSE_SECONDS, SLICE_SECONDS, GivingWay
from service.picture import PART_BYTES, open_picture
from service.picture_cost import QUICK_BYTES
from tests.service.picture_files import noise, saved

MAX_PIXELS = 10_000_000


class Clocks:
    """What a thread sees of the time: that which passes, and that in which it was running."""

    def __init__(self) -> None:
        self.now = 100.0
        self.worked = 5.0
        self.others_worked = 30.0
        self.pauses: list[float] = []

    def work(
        self, seconds: float, kept_waiting: float = 0.0, by_strangers: float = 0.0, on_another_core: float = 0.0
    ) -> None:
        """The thread decodes, and waits for its turn meanwhile: for others of its process, and of other processes. Of
        the former some work beside it.
        """
        self.now += seconds + kept_waiting + by_strangers
        self.worked += seconds
        self.others_worked += kept_waiting + on_another_core

    def pause(self, seconds: float) -> None:
        """It sleeps."""
        self.now += seconds
        self.pauses.append(seconds)

    def file(self, content: bytes = bytes(1000)) -> GivingWay:
        """One that is read by this thread."""
        return GivingWay(
            content, lambda: self.now, lambda: self.worked, lambda: self.worked + self.others_worked, self.pause
        )


@pytest.mark.parametrize(
    "meanwhile",
    [{}, {"by_strangers": 0.003}, {"on_another_core": 2 * SLICE_SECONDS}],
    ids=["alone", "kept waiting by other processes", "beside others of its process"],
)
def test_where_nobody_of_its_process_waits_it_loses_no_time(meanwhile: dict[str, float]) -> None:
    """Nobody else had anything to do; or the system is just, between processes, and a pause would give them what is
    this one's; or nobody waits.
    """
    clocks = Clocks()
    file = clocks.file()

    for _ in range(50):
        clocks.work(2 * SLICE_SECONDS, **meanwhile)
        file.read(10)

    assert clocks.pauses == []


def test_kept_waiting_it_pauses_after_each_part_for_some_time() -> None:
    """Once somebody else was seen, who may be quiet for a part or two, it goes on giving way, and then no longer."""
    clocks = Clocks()
    file = clocks.file()

    clocks.work(2 * SLICE_SECONDS, kept_waiting=0.003)
    file.read(10)
    for _ in range(100):
        clocks.work(2 * SLICE_SECONDS)
        file.read(10)

    each = 2 * SLICE_SECONDS + PAUSE_SECONDS
    assert set(clocks.pauses) == {PAUSE_SECONDS}
    assert len(clocks.pauses) == pytest.approx(1 + CONTESTED_SECONDS / each, abs=1.5)


def test_as_long_as_it_is_kept_waiting_it_gives_way() -> None:
    """Each part of the whole file is followed by a pause."""
    clocks = Clocks()
    file = clocks.file()

    for _ in range(60):
        clocks.work(2 * SLICE_SECONDS, kept_waiting=0.001)
        file.read(10)

    assert len(clocks.pauses) == 60


def test_short_reads_are_one_part() -> None:
    """A head that is read in many small pieces is not decoded in as many pauses."""
    clocks = Clocks()
    file = clocks.file()

    for _ in range(40):
        clocks.work(SLICE_SECONDS / 10, kept_waiting=SLICE_SECONDS / 10)
        file.read(1)

    assert 1 <= len(clocks.pauses) <= 5


@pytest.mark.parametrize("worked", [0.1, 5.0, 5.0 + SLICE_SECONDS, 90.0])
def test_another_thread_goes_on_reading(worked: float) -> None:
    """The head is read in one thread, the pixels in another, whose time is another: that is nobody in the way. From
    then on it is that thread's time which counts.
    """
    clocks = Clocks()
    file = clocks.file()
    clocks.now, clocks.worked = clocks.now + 0.5, worked

    def read_on() -> list[int]:
        file.read(10)
        seen = [len(clocks.pauses)]
        clocks.work(2 * SLICE_SECONDS, kept_waiting=0.003)
        file.read(10)
        return [*seen, len(clocks.pauses)]

    with ThreadPoolExecutor(1) as other:
        assert other.submit(read_on).result() == [0, 1]


@pytest.mark.parametrize("size", [-1, None, 7, 1000, 2000])
def test_it_reads_as_any_file(size: int | None) -> None:
    """Every byte comes, and none twice."""
    content = bytes(range(250)) * 4
    file = Clocks().file(content)

    first = file.read(size)

    assert first + file.read() == content
    assert first == content[: len(first)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_long_file_gives_way_and_has_the_same_pixels(kind: str) -> None:
    """It is decoded in parts, to what Pillow makes of it in one."""
    content = saved(Image.fromarray(noise(400, 500)), kind)
    assert len(content) > PART_BYTES

    opened = open_picture(content, MAX_PIXELS).image
    assert isinstance(opened.fp, GivingWay)  # type: ignore[attr-defined]  # it was opened from a file

    with Image.open(io.BytesIO(content)) as expected:
        np.testing.assert_array_equal(np.asarray(opened), np.asarray(expected))


def test_what_is_decoded_on_the_event_loop_never_pauses() -> None:
    """All who wait for the loop would wait with it."""
    content = saved(Image.fromarray(noise(40, 40)))
    assert len(content) <= QUICK_BYTES < PART_BYTES

    assert not isinstance(open_picture(content, MAX_PIXELS).image.fp, GivingWay)  # type: ignore[attr-defined]
