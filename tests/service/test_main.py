"""python -m service as a process: start, first words, signals, wrong settings, and what is no HTTP."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.service.picture_files import noise, saved
from tests.service.processes import ROOT, finished, greeting, logged, port_of, process, workers_of
from tests.service.wire import begin_request, connected, exchanged, get


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[tuple[int, list[str]]]:
    """One process for the tests that only ask; its port and its greeting."""
    with process(repository) as started:
        lines = greeting(started)
        yield port_of(lines), lines


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_starts_answers_and_ends_in_peace(repository: Path, workers: int, ended_by: signal.Signals) -> None:
    """The greeting comes once, stdout holds nothing else, stderr is JSON lines; SIGTERM, and Ctrl-C, which a terminal
    sends to the workers too, end it with 0.
    """
    with process(repository, HEED_WORKERS=str(workers)) as started:
        lines = greeting(started)
        assert get(port_of(lines), "/v2/health/ready") == (200, b'{"ready":true}')
        events = logged(started, "model served", 6 * workers)
        if ended_by is signal.SIGINT:
            os.killpg(started.pid, ended_by)
        else:
            started.send_signal(ended_by)
        status, out, err = finished(started)

    assert status == 0
    assert out == ""
    events += [json.loads(line) for line in err.splitlines()]
    assert sum(event["event"] == "model served" for event in events) == 6 * workers
    assert not [event for event in events if event["level"] in ("error", "critical")]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are spawned")
def test_workers_share_the_memory_of_what_they_imported(repository: Path) -> None:
    """Of what no file stands for, too: their parent imported it, and none has written over it."""
    with process(repository, HEED_WORKERS="2") as started:
        greeting(started)
        shared = [shared_kilobytes(worker) for worker in workers_of(started)]
        started.send_signal(signal.SIGTERM)
        finished(started)

    assert len(shared) == 2
    assert all(one > 15_000 for one in shared)


def shared_kilobytes(process_id: int) -> int:
    """Memory that was written to, and is several processes'."""
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Shared_Dirty:"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines are for curl, and there is none here")
def test_greeting_lines_work_when_pasted(server: tuple[int, list[str]], tmp_path: Path) -> None:
    """The time-series line as it is, the picture line in a folder with the example."""
    _, lines = server
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "digit.png").write_bytes(saved_png())

    assert re.fullmatch(r"Heed listens on http://127\.0\.0\.1:\d+", lines[0])
    for line, name in zip(lines[1:], ("timeseries", "image"), strict=True):
        answered = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert json.loads(answered.stdout)["model"]["name"] == name


def saved_png() -> bytes:
    """A small picture file."""
    return saved(Image.fromarray(noise(20, 20)))


def test_request_that_never_ends_does_not_hold_the_server(repository: Path) -> None:
    """After the shutdown timeout the process ends all the same."""
    with process(repository, HEED_SHUTDOWN_TIMEOUT_SECONDS="1") as started:
        port = port_of(greeting(started))
        with connected(port) as connection:
            begin_request(connection, 100)
            connection.sendall(b"{")
            started.send_signal(signal.SIGTERM)
            status, _, _ = finished(started)
            answer = connection.recv(65536)

    assert status == 0
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"urn:heed:problem:draining" in answer


def test_wrong_settings_stop_the_start(repository: Path) -> None:
    """Status 2, one line for each, no traceback."""
    with process(repository, HEED_PORT="eighty", HEED_MODEL_REPOSITORY="/nowhere") as started:
        status, out, err = finished(started)

    assert (status, out) == (2, "")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["HEED_PORT", "HEED_MODEL_REPOSITORY"]


def test_keys_are_never_printed(repository: Path) -> None:
    """Neither a wrong one that stops the start, nor one that is taken; the lines to paste leave a place for it."""
    with process(repository, HEED_API_KEYS="0123456789abcdef not-shown") as started:
        status, out, err = finished(started)
    assert (status, out) == (2, "")
    assert err == "HEED_API_KEYS: key 2 is too short, at least 16 characters are expected\n"

    with process(repository, HEED_API_KEYS="0123456789abcdef") as started:
        lines = greeting(started)
        started.send_signal(signal.SIGTERM)
        _, out, err = finished(started)
    assert all("$KEY" in line for line in lines[1:])
    assert "0123456789abcdef" not in f"{lines}{out}{err}"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_taken_port_stops_the_start(repository: Path, workers: str) -> None:
    """With the address, and a status of its own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with process(repository, HEED_PORT=port, HEED_WORKERS=workers) as started:
            status, out, err = finished(started)

    assert (status, out) == (3, "")
    assert err == f"HEED_HOST, HEED_PORT: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_unknown_setting_is_warned_about(repository: Path) -> None:
    """With what was probably meant; the start goes on."""
    with process(repository, HEED_LOG_LEVL="info") as started:
        greeting(started)
        started.send_signal(signal.SIGTERM)
        _, _, err = finished(started)

    warning = next(json.loads(line) for line in err.splitlines() if "HEED_LOG_LEVL" in line)
    assert (warning["level"], warning["meant"]) == ("warning", "HEED_LOG_LEVEL")


def test_help_is_printed() -> None:
    """Without a repository, and every setting in it."""
    shown = subprocess.run(
        [sys.executable, "-m", "service", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "HEED_MAX_BODY_BYTES (default 16777216)" in shown.stdout


@pytest.mark.parametrize(
    ("sent", "status", "word"),
    [
        (b"nonsense\r\n\r\n", 400, "malformed-request"),
        (b"POST /models HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", 400, "malformed-request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "malformed-request"),
        (b"POST /predict/image HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "malformed-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000, 431, "headers-too-large"),
        (b"GET /" + b"a" * 100_000, 431, "headers-too-large"),
    ],
)
def test_what_is_no_http_is_a_problem(server: tuple[int, list[str]], sent: bytes, status: int, word: str) -> None:
    """Even what never reaches the application."""
    head, _, content = exchanged(server[0], sent).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json" in head
    assert b"x-request-id: " in head
    assert json.loads(content)["type"] == f"urn:heed:problem:{word}"


def test_request_for_a_websocket_is_a_request(server: tuple[int, list[str]]) -> None:
    """There are none: answered as what it is otherwise."""
    answer = exchanged(
        server[0],
        b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n",
    )

    assert answer.startswith(b"HTTP/1.1 404 ")


def test_body_over_the_limit_is_refused_before_it_is_sent(server: tuple[int, list[str]]) -> None:
    """A client that waits for 100 Continue gets 413 in its place."""
    with connected(server[0]) as connection:
        connection.sendall(
            b"POST /predict/image HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_long_requests_after_one_another_are_no_long_head(server: tuple[int, list[str]]) -> None:
    """Bodies and pipelined requests do not count as a head."""
    body = b'{"sequence": [' + b" " * 100_000 + b"]}"
    one = b"POST /predict/timeseries HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
    answer = exchanged(server[0], one + b"\r\n" + body + one + b"Connection: close\r\n\r\n" + body)

    assert answer.count(b"HTTP/1.1 422 ") == 2
