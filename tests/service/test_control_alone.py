"""Models come and go in one worker of a service, the others as a test has them."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from service.agreement import Proposal
from service.problems import ControlFailed
from tests.service.joined import joined
from tests.service.tiny_models import image_model, model_of, publish


@pytest.mark.parametrize("change", ["load", "unload"])
def test_worker_that_cannot_do_it_keeps_the_others_from_it(tmp_path: Path, change: str) -> None:
    """What one worker was asked and another cannot do, none does."""
    publish(tmp_path, "timeseries", "1", model_of(1))

    async def act() -> tuple[str, str]:
        async with joined(tmp_path) as (repository, control, runtime):
            silent = await asyncio.start_unix_server(_answer_that_it_is_refused, runtime / "worker-0.sock")
            publish(tmp_path, "timeseries", "2", model_of(2))
            with pytest.raises(ControlFailed) as raised:
                await getattr(control, change)("timeseries")
            silent.close()
            return raised.value.detail, repository.served("timeseries", None).version

    detail, version = asyncio.run(act())

    assert "model 'timeseries' is served as before: another worker could not" in detail
    assert version == "1"


def test_loads_that_wait_are_one_which_reads_the_folder_after_them(tmp_path: Path) -> None:
    """A hundred wait while another change goes on; what came meanwhile is served once, and to whoever asks later what
    came later.
    """
    publish(tmp_path, "timeseries", "1", model_of(1))

    async def act() -> list[str]:
        async with joined(tmp_path) as (repository, control, _):
            seen = []
            for number in range(2, 4):
                async with control._turn():
                    asked = [asyncio.create_task(control.load("timeseries")) for _ in range(100)]
                    await asyncio.sleep(0.01)
                    publish(tmp_path, "timeseries", str(number), model_of(number))
                await asyncio.gather(*asked)
                seen.append(repository.served("timeseries", None).version)
            return seen

    with structlog.testing.capture_logs() as lines:
        seen = asyncio.run(act())

    assert seen == ["2", "3"]
    assert [line["version"] for line in lines if line["event"] == "model served"] == ["1", "2", "3"]


async def _answer_that_it_is_refused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b'{"1": "refused", "2": "refused"}\n')
    await writer.drain()
    writer.close()


def test_load_that_was_given_up_is_not_done_by_the_next_one(tmp_path: Path) -> None:
    """A worker that still prepares when the proposer leaves looks whether its plan holds, whatever came after it."""
    publish(tmp_path, "timeseries", "1", model_of(1))
    publish(tmp_path, "image", "1", image_model())

    async def act() -> tuple[str, bool]:
        async with joined(tmp_path) as (repository, control, runtime):
            publish(tmp_path, "timeseries", "2", model_of(2))
            abandoned = Proposal("timeseries", await repository.examined("timeseries"))
            _, writer = await asyncio.open_unix_connection(runtime / f"worker-{os.getpid()}.sock")
            writer.write(abandoned.line())
            await control.load("image")
            writer.close()
            await asyncio.sleep(0.2)
            return repository.served("timeseries", None).version, control._holds(abandoned)

    assert asyncio.run(act()) == ("1", False)


def _folder_is_gone(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")


def _model_leads_to_itself(folder: Path) -> None:
    (folder / "timeseries").rename(folder / ".elsewhere")
    (folder / "timeseries").symlink_to("timeseries")


@pytest.mark.parametrize(
    ("happens", "is_rescanned", "reason"),
    [
        (_folder_is_gone, True, "No such file or directory"),
        (_model_leads_to_itself, False, "Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_read_is_not_gone(
    tmp_path: Path, happens: Callable[[Path], None], is_rescanned: bool, reason: str
) -> None:
    """What is served stays, and the load says why it did nothing."""
    folder = tmp_path / "models"
    publish(folder, "timeseries", "1", model_of(1))

    async def act() -> tuple[str, str]:
        async with joined(folder) as (repository, control, _):
            happens(folder)
            if is_rescanned:
                await control.rescan()
            with pytest.raises(ControlFailed) as raised:
                await control.load("timeseries")
            return raised.value.detail, repository.served("timeseries", None).version

    detail, version = asyncio.run(act())

    assert detail.startswith(f"the repository cannot be read: {reason}")
    assert version == "1"


def test_folder_without_versions_is_no_model(tmp_path: Path) -> None:
    """A rescan passes it over, and warns of nothing."""
    publish(tmp_path, "timeseries", "1", model_of(1))
    (tmp_path / "empty").mkdir()

    async def act() -> None:
        async with joined(tmp_path) as (_, control, _):
            await control.rescan()

    with structlog.testing.capture_logs() as lines:
        asyncio.run(act())

    assert [line["event"] for line in lines if line["log_level"] == "warning"] == []
