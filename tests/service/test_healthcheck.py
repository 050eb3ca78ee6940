"""python -m service.healthcheck, asked of the real service as a container asks it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.service.patience import PATIENCE_SECONDS
from tests.service.processes import ROOT, greeting, logged, port_of, process

ROOTED = {"HEED_ROOT_PATH": "/heed"}
PROXIES = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    """The settings of a certificate that is trusted nowhere and does not name the address."""
    file = tmp_path / "both.pem"
    trustme.CA().issue_cert("example.org").private_key_and_cert_chain_pem.write_to_path(file)
    return {"HEED_TLS_CERTIFICATE": str(file), "HEED_TLS_KEY": str(file)}


@pytest.fixture
def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def checked(port: int, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The check, in the environment of the service."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEED_")}
    environment |= {"HEED_PORT": str(port), **settings}
    command = [sys.executable, "-m", "service.healthcheck"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


@pytest.fixture(scope="module")
def plain_port(repository: Path) -> Iterator[int]:
    """Of a service that speaks HTTP."""
    with process(repository, HEED_HOST="0.0.0.0") as started:
        yield port_of(greeting(started))


def test_service_that_speaks_http_is_healthy(plain_port: int) -> None:
    """Though a proxy is set for everything else."""
    result = checked(plain_port, PROXIES)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(("is_tls", "rooted"), [(True, {}), (False, ROOTED), (True, ROOTED)])
def test_service_that_is_ready_is_healthy(
    repository: Path, tls: dict[str, str], is_tls: bool, rooted: dict[str, str]
) -> None:
    """Over HTTPS too, and under a root path, though a proxy is set for everything else."""
    settings = {**rooted, **(tls if is_tls else {})}
    with process(repository, HEED_HOST="0.0.0.0", **settings) as started:
        port = port_of(greeting(started))
        result = checked(port, settings | PROXIES)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_service_that_is_not_ready_is_not_healthy(tmp_path: Path, free_port: int) -> None:
    """The problem is told in one line, for whoever looks why."""
    with process(tmp_path, HEED_PORT=str(free_port), HEED_LOG_LEVEL="debug") as started:
        # It asks itself too, until it is ready: it listens now.
        logged(started, "request", 1)
        result = checked(free_port, {})

    assert result.returncode == 1
    assert result.stderr.startswith("503: {")
    assert "urn:heed:problem:not-ready" in result.stderr
    assert result.stderr.count("\n") == 1


def test_nobody_there_is_not_healthy(free_port: int) -> None:
    """One line, and no traceback."""
    result = checked(free_port, {})

    assert (result.returncode, result.stderr) == (1, "no answer: ConnectionRefusedError(111, 'Connection refused')\n")


def test_other_protocol_is_not_healthy(plain_port: int, tls: dict[str, str]) -> None:
    """A service that speaks HTTP where HTTPS was asked for."""
    result = checked(plain_port, tls)

    assert result.returncode == 1
    assert result.stderr.startswith("no answer: SSLError")
    assert result.stderr.count("\n") == 1


def test_image_asks_so() -> None:
    """The health check of the image is this one."""
    assert '    CMD ["python", "-m", "service.healthcheck"]\n' in (ROOT / "Dockerfile").read_text()
