"""The files of TLS: what is told about a wrong one."""

from pathlib import Path

import pytest
import trustme

from service.tls import check_certificate, check_key


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The files of a certificate and of its key."""
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    return tmp_path / "certificate.pem", tmp_path / "key.pem"


def test_pair_is_taken(pair: tuple[Path, Path]) -> None:
    """A certificate, and the key that belongs to it."""
    certificate, key = pair

    check_certificate(certificate)
    check_key(key, certificate)


def test_wrong_file_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """With what it was expected to be, or why it cannot be read."""
    certificate, key = pair
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(tmp_path / "other.pem")

    with pytest.raises(ValueError, match=r"no PEM certificate in '.*key\.pem'"):
        check_certificate(key)
    with pytest.raises(ValueError, match=r"other\.pem' is not the PEM key of the certificate"):
        check_key(tmp_path / "other.pem", certificate)
    with pytest.raises(ValueError, match=r"nowhere' cannot be read: No such file or directory"):
        check_key(tmp_path / "nowhere", certificate)


def test_name_of_a_file_need_not_be_text(tmp_path: Path) -> None:
    """What is told about it can be printed, and is short."""
    with pytest.raises(ValueError, match="cannot be read") as raised:
        check_certificate(tmp_path / ("\udcff" + "x" * 200))

    assert r"\udcff" in str(raised.value)
    assert len(str(raised.value).encode()) < 300
