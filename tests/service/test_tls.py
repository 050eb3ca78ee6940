"""TLS: the service with a certificate of its own, and certificates that stop the start."""

import http.client
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from service.settings import Settings, complaints
from tests.service.patience import PATIENCE_SECONDS
from tests.service.processes import finished, greeting, port_of, process

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings of a certificate for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    issued = AUTHORITY.issue_cert("localhost")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / "certificate.pem", append=True)
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return {"HEED_TLS_CERTIFICATE": str(folder / "certificate.pem"), "HEED_TLS_KEY": str(folder / "key.pem")}


def trusting() -> ssl.SSLContext:
    """A client that knows the authority, and checks the name."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.mark.parametrize("workers", ["1", "2"])
def test_https_is_answered(repository: Path, pair: dict[str, str], workers: str) -> None:
    """Several clients with a stock TLS stack are answered, the greeting says https, and the end is a peaceful one."""
    with process(repository, HEED_HOST="localhost", HEED_WORKERS=workers, **pair) as started:
        lines = greeting(started)
        answers = [ready(port_of(lines)) for _ in range(8)]
        started.send_signal(signal.SIGTERM)
        status, _, err = finished(started)

    assert re.fullmatch(r"Heed listens on https://localhost:\d+", lines[0])
    assert answers == [(200, b'{"ready":true}')] * 8
    assert status == 0
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def lines(repository: Path, pair: dict[str, str]) -> Iterator[list[str]]:
    """The greeting of a service for the tests that only ask."""
    with process(repository, HEED_HOST="localhost", **pair) as started:
        yield greeting(started)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines are for curl, and there is none here")
def test_greeting_line_works_when_pasted(lines: list[str]) -> None:
    """Though the certificate is not one that curl trusts."""
    answered = subprocess.run(lines[1], shell=True, capture_output=True, text=True, check=True)

    assert '"prediction"' in answered.stdout


def test_http_is_not_answered(lines: list[str]) -> None:
    """Nothing is told in the clear; who speaks TLS is still answered afterwards."""
    plain = http.client.HTTPConnection("localhost", port_of(lines), timeout=PATIENCE_SECONDS)
    plain.request("GET", "/v2/health/ready")
    with pytest.raises((http.client.BadStatusLine, ConnectionError)):
        plain.getresponse()
    plain.close()

    assert ready(port_of(lines)) == (200, b'{"ready":true}')


def ready(port: int) -> tuple[int, bytes]:
    """One request, on a connection of its own, whose certificate is checked."""
    connection = http.client.HTTPSConnection("localhost", port, timeout=PATIENCE_SECONDS, context=trusting())
    connection.request("GET", "/v2/health/ready")
    response = connection.getresponse()
    status, content = response.status, response.read()
    connection.close()
    return status, content


def encrypted(key: bytes) -> bytes:
    """The key, with a password."""
    return load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"HEED_TLS_KEY": None}, "HEED_TLS_KEY: HEED_TLS_CERTIFICATE and HEED_TLS_KEY are set together"),
        ({"HEED_TLS_CERTIFICATE": None}, "HEED_TLS_KEY: HEED_TLS_CERTIFICATE and HEED_TLS_KEY are set together"),
        ({"HEED_TLS_CERTIFICATE": "/nowhere"}, "HEED_TLS_CERTIFICATE: the file '/nowhere' cannot be read"),
        ({"HEED_TLS_KEY": "/nowhere"}, "HEED_TLS_KEY: the file '/nowhere' cannot be read"),
        ({"HEED_TLS_CERTIFICATE": ""}, "HEED_TLS_CERTIFICATE: "),
        ({"HEED_TLS_CERTIFICATE": "KEY"}, "HEED_TLS_CERTIFICATE: there is no PEM certificate in"),
        ({"HEED_TLS_KEY": "CERTIFICATE"}, "HEED_TLS_KEY: "),
        ({"HEED_TLS_KEY": "OTHER"}, "HEED_TLS_KEY: "),
        ({"HEED_TLS_KEY": "ENCRYPTED"}, "HEED_TLS_KEY: the key is encrypted, one without a password is expected"),
    ],
)
def test_wrong_pair_is_named(
    pair: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, str | None],
    complaint: str,
) -> None:
    """In one line, which begins with the setting."""
    monkeypatch.setenv("HEED_MODEL_REPOSITORY", str(tmp_path))
    for name, value in changed(pair, wrong, tmp_path).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError) as raised:
        Settings()

    (line,) = complaints(raised.value)
    assert line.startswith(complaint)
    assert "\n" not in line


@pytest.mark.parametrize("key", [None, "ENCRYPTED"])
def test_wrong_pair_stops_the_start(pair: dict[str, str], tmp_path: Path, key: str | None) -> None:
    """Status 2 and one line that names the setting; nobody is asked for a password."""
    with process(tmp_path, **changed(pair, {"HEED_TLS_KEY": key}, tmp_path)) as started:
        status, out, err = finished(started)

    assert (status, out) == (2, "")
    assert err.startswith("HEED_TLS_KEY: ")
    assert err.count("\n") == 1


def changed(pair: dict[str, str], wrong: dict[str, str | None], folder: Path) -> dict[str, str]:
    """The pair's settings with some of them wrong: None, a path, or which file stands in its place."""
    AUTHORITY.issue_cert("localhost").private_key_pem.write_to_path(folder / "other.pem")
    (folder / "encrypted.pem").write_bytes(encrypted(Path(pair["HEED_TLS_KEY"]).read_bytes()))
    files = {
        "KEY": pair["HEED_TLS_KEY"],
        "CERTIFICATE": pair["HEED_TLS_CERTIFICATE"],
        "OTHER": str(folder / "other.pem"),
        "ENCRYPTED": str(folder / "encrypted.pem"),
    }
    return {name: files.get(value, value) for name, value in {**pair, **wrong}.items() if value is not None}
