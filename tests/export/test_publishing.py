"""A version is in the repository whole, or not at all, whatever happens to the export that makes it."""

import fcntl
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from export.errors import PublishingError
from export.publishing import INCOMING, incoming, publish
from models.layout import versions

ROOT = Path(__file__).parent.parent.parent


def _publish(repository: Path, content: str) -> Path:
    with incoming(repository, "model") as folder:
        (folder / "model.onnx").write_text(content)
        (folder / "report").mkdir()
        (folder / "report" / "figures.json").write_text("{}")
        return publish(folder)


def test_versions_count_upward_and_carry_checksums(tmp_path: Path) -> None:
    """Numbers, not names, decide what comes next; `sha256sum -c` accepts what was written."""
    (tmp_path / "model" / "9").mkdir(parents=True)
    (tmp_path / "model" / "010").mkdir()
    (tmp_path / "model" / "notes").mkdir()

    first, second = _publish(tmp_path, "a"), _publish(tmp_path, "b")

    assert (first.name, second.name) == ("10", "11")
    assert versions(tmp_path / "model") == [9, 10, 11]
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=second, capture_output=True, text=True)
    assert checked.stdout.splitlines() == ["model.onnx: OK", "report/figures.json: OK"]
    assert second.stat().st_mode & 0o777 == 0o755


def test_exports_at_once_get_a_version_each(tmp_path: Path) -> None:
    """Twenty publications at the same time: twenty whole versions, none replaced."""
    with ThreadPoolExecutor(20) as pool:
        published = list(pool.map(lambda number: _publish(tmp_path, str(number)), range(20)))

    assert sorted(int(path.name) for path in published) == list(range(1, 21))
    assert {(path / "model.onnx").read_text() for path in published} == {str(number) for number in range(20)}
    assert not list((tmp_path / "model").glob(f"{INCOMING}*"))


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    """Before the rename there is no version; afterwards there is no unfinished folder."""

    def is_interrupted() -> None:
        with incoming(tmp_path, "model") as folder:
            (folder / "model.onnx").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        is_interrupted()

    assert list((tmp_path / "model").iterdir()) == []


def test_a_folder_that_a_killed_export_left_is_swept(tmp_path: Path) -> None:
    """Left behind by SIGKILL, gone with the next export; one that is being written stays."""
    script = (
        "import sys, time, pathlib\n"
        "from export.publishing import incoming\n"
        "with incoming(pathlib.Path(sys.argv[1]), 'model') as folder:\n"
        "    (folder / 'model.onnx').write_text('half'); print(folder, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())

    _publish(tmp_path, "while the other writes")
    assert left.is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert left.is_dir()
    _publish(tmp_path, "after it was killed")

    assert not left.exists()
    assert versions(tmp_path / "model") == [1, 2]


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "x" * 65])
def test_a_name_that_is_no_folder_of_the_repository_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written outside the repository."""
    with pytest.raises(PublishingError, match="is no model name"), incoming(tmp_path / "repository", name):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_publishes_nothing(tmp_path: Path) -> None:
    """A write that the system refuses ends the export with the system's reason; no folder is left."""
    script = (
        "import resource, signal, sys, pathlib\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "from export.publishing import incoming, publish\n"
        "with incoming(pathlib.Path(sys.argv[1]), 'model') as folder:\n"
        "    (folder / 'model.onnx').write_bytes(bytes(10**6)); publish(folder)\n"
    )
    _publish(tmp_path, "the version before")

    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)

    assert "File too large" in done.stderr
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["1"]


def test_the_lock_of_an_unfinished_folder_is_held_until_the_end(tmp_path: Path) -> None:
    """What protects the folder from being swept is a lock that dies with its process."""
    with incoming(tmp_path, "model") as folder:
        handle = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
