"""The tutorial: each of its commands, in its order, against a real service, answers what the page shows."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from export import pipeline
from tests.docs.blocks import Block, Step, steps_of
from tests.docs.likeness import check_json, check_text
from tests.export.quick import ROOT, quick_image, run_export
from tests.service.patience import PATIENCE_SECONDS
from tests.service.processes import greeting, kill, port_of

PAGE = ROOT / "docs" / "first_hour.md"
# What the page calls by name, from the project's folder.
USED = ("examples", "export", "models", "service")
LONGEST_COMMAND_SECONDS = 300

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the page's commands need curl")


class Terminals:
    """What the reader has: a folder, a terminal for the service, and one for everything else."""

    def __init__(self, folder: Path, *, is_trained: bool) -> None:
        self.folder = folder
        self.is_trained = is_trained
        self.log = folder / "service.log"
        self.service: subprocess.Popen[str] | None = None
        self.port = 0

    def follow(self, step: Step) -> None:
        """Do what the page says at one place, and hold what comes against what it shows."""
        notes = step.command.notes
        if "stop terminal 1" in notes:
            self.stop()
        if "trains, version 2" in notes and not self.is_trained:
            self._take_version_1_for_it()
            return
        output = self._serve(step.command) if "terminal 1" in notes else self._run(step.command)
        for shown in step.shown:
            self._compare(shown, output)

    def stop(self) -> None:
        """Ctrl-C, which a terminal sends to all that runs in it."""
        if self.service:
            os.killpg(self.service.pid, signal.SIGINT)
            self.service.communicate(timeout=PATIENCE_SECONDS)
            self.service = None

    def _serve(self, command: Block) -> str:
        # The page's port may be taken on the tests' machine.
        with self.log.open("a") as log:
            self.service = subprocess.Popen(
                ["sh", "-euc", command.text],
                cwd=self.folder,
                env=_environment() | {"HEED_PORT": str(self.port)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        first = greeting(self.service, lines=1)
        assert first[0], f"line {command.line}: {self.log.read_text()}"
        self.port = port_of(first)
        return first[0].replace(str(self.port), "8000")

    def _run(self, command: Block) -> str:
        text = command.text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["sh", "-euc", text],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=LONGEST_COMMAND_SECONDS,
        )
        assert done.returncode == 0, f"line {command.line}: {done.stderr}"
        return done.stdout

    def _take_version_1_for_it(self) -> None:
        series = self.folder / "first-hour" / "models" / "timeseries"
        shutil.copytree(series / "1", series / "2")

    def _compare(self, shown: Block, output: str) -> None:
        holds = self.is_trained or "trained" not in shown.notes
        try:
            if shown.language == "json":
                check_json(shown.text, output, values=holds)
            elif holds:
                check_text(shown.text, output)
        except AssertionError as difference:
            raise AssertionError(f"{PAGE.name}, line {shown.line}: {difference}") from difference


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEED_")}
    return inherited | {"NO_COLOR": "1", "COLUMNS": "120"}


@contextmanager
def _terminals(folder: Path, *, is_trained: bool) -> Iterator[Terminals]:
    for name in USED:
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    terminals = Terminals(folder, is_trained=is_trained)
    try:
        yield terminals
    finally:
        if terminals.service:
            kill(terminals.service)
            terminals.service.communicate()


def test_every_command_of_the_first_hour_answers_what_the_page_shows(tmp_path: Path, published_series: Path) -> None:
    """Without the trainings: the series' model is there already, version 2 is a copy of it, and the pictures' model is
    one of two epochs, whose numbers nobody promises."""
    repository = published_series.parent.parent
    if not (repository / "image").exists():
        pipeline.export(quick_image(), repository, "image", "cpu")
    shutil.copytree(published_series, tmp_path / "first-hour" / "models" / "timeseries" / "1")
    shutil.copytree(repository / "image", tmp_path / "model_repository" / "image")

    with _terminals(tmp_path, is_trained=False) as terminals:
        for step in steps_of(PAGE):
            terminals.follow(step)
            _check_files(tmp_path)

    assert not (tmp_path / "first-hour").exists()


@pytest.mark.training
@pytest.mark.timeout(600)
def test_the_first_hour_with_its_trainings(tmp_path: Path) -> None:
    """From an empty folder, after the quick start: every number that the page shows."""
    done = run_export("image", "--repository", tmp_path / "model_repository")
    assert done.returncode == 0, done.stderr

    with _terminals(tmp_path, is_trained=True) as terminals:
        for step in steps_of(PAGE):
            terminals.follow(step)
            _check_files(tmp_path)

    assert not (tmp_path / "first-hour").exists()


def _check_files(folder: Path) -> None:
    """What was saved into files is what the page calls it."""
    picture, answer = folder / "first-hour" / "answer.png", folder / "first-hour" / "answer.json"
    if picture.exists():
        assert picture.read_bytes().startswith(b"\x89PNG")
    if answer.exists():
        assert json.loads(answer.read_text())["prediction"]
