"""Pictures: how near Heed comes to what decoding and the model allow, and what a large one does to the others."""

import io
import multiprocessing
import os
import statistics
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.contestants import BY_NAME, HEED, started
from benchmarks.load import drive
from benchmarks.peers.model import Model, picture
from benchmarks.plan import Plan
from benchmarks.questions import Question, picture_questions, series_questions
from benchmarks.targets import Claim, Figure
from service.cores import usable_cores

LARGE_SIZE = (4000, 3000)
BOUND_SECONDS = 2


@dataclass
class _Asked:
    taken_ms: list[float] = field(default_factory=list)
    failures: int = 0


def measure_pictures(plan: Plan) -> dict[Claim, Figure]:
    """Both claims."""
    with started(BY_NAME[HEED], plan.repository, usable_cores()) as server:
        return {
            Claim.PICTURE_OF_BOUND: _of_bound(plan, server.address),
            Claim.LARGE_JPEG: _beside_large(plan, server.address),
        }


def _of_bound(plan: Plan, address: str) -> Figure:
    question = picture_questions(plan.repository)[0]
    drive(address, [question], 32, plan.warm_up_seconds)
    shares, bounds = [], []
    for _ in range(plan.rounds):
        bounds.append(_bound(plan.repository, question.body))
        shares.append(drive(address, [question], 32, plan.seconds).per_second / bounds[-1])
    note = f"bound {statistics.median(bounds):,.0f} a second; rounds: {', '.join(f'{share:.0%}' for share in shares)}"
    return Figure(statistics.median(shares), note)


def _bound(repository: Path, content: bytes) -> float:
    """Pictures a second, decoded and run one by one, by a process on each core, with nothing else to do."""
    with multiprocessing.get_context("spawn").Pool(usable_cores()) as processes:
        return sum(processes.map(_rate, [(str(repository), content)] * usable_cores(), chunksize=1))


def _rate(task: tuple[str, bytes]) -> float:
    os.environ["PEER_REPOSITORY"], content = task
    model, count = Model("image"), 0
    model.run(picture(content)[np.newaxis])
    begun = time.perf_counter()
    while time.perf_counter() - begun < BOUND_SECONDS:
        model.run(picture(content)[np.newaxis])
        count += 1
    return count / (time.perf_counter() - begun)


def _beside_large(plan: Plan, address: str) -> Figure:
    series = series_questions(plan.repository)[0]
    large = Question("12 MP JPEG", "/predict/image", "image/jpeg", large_jpeg())
    drive(address, [series], 32, plan.warm_up_seconds)
    alone, beside = [], []
    asked = _Asked()
    for _ in range(plan.rounds):
        alone.append(drive(address, [series], 32, plan.seconds).p99_ms)
        ended = threading.Event()
        thread = threading.Thread(target=_ask_every_second, args=(address, large, ended, asked))
        thread.start()
        beside.append(drive(address, [series], 32, plan.seconds).p99_ms)
        ended.set()
        thread.join()
    growth = statistics.median(beside) / statistics.median(alone) - 1
    note = (
        f"time series at c=32, p99 {statistics.median(alone):.1f} ms alone, "
        f"{statistics.median(beside):.1f} ms beside it; "
        f"the JPEG ({len(large.body) / 1e6:.1f} MB) itself {statistics.median(asked.taken_ms or [0]):.0f} ms, "
        f"{asked.failures} failed"
    )
    return Figure(growth, note)


def large_jpeg(size: tuple[int, int] = LARGE_SIZE) -> bytes:
    """Twelve megapixels, or another size, with as much in them as a photograph has."""
    random = np.random.default_rng(1)
    coarse = Image.fromarray(random.integers(0, 255, (300, 400, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noise = random.integers(-6, 7, (*coarse.size[::-1], 1))
    pixels = (np.asarray(coarse, np.int16) + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def _ask_every_second(address: str, question: Question, ended: threading.Event, asked: _Asked) -> None:
    while True:
        begun = time.perf_counter()
        try:
            with urllib.request.urlopen(question.at(address), timeout=30) as response:
                response.read()
            asked.taken_ms.append((time.perf_counter() - begun) * 1000)
        except OSError:
            asked.failures += 1
        if ended.wait(max(0.0, 1 - (time.perf_counter() - begun))):
            return
