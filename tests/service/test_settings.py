"""Settings: read from the environment, bounded, explained."""

from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from service.settings import Settings, complaints, settings_help, unknown_names

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("HEED_PORT", "x", "valid integer"),
        ("HEED_PORT", "70000", "less than or equal to 65535"),
        ("HEED_WORKERS", "0", "greater than or equal to 1"),
        ("HEED_MODEL_REPOSITORY", "/nowhere/at/all", "no folder '/nowhere/at/all'"),
        ("HEED_LOG_LEVEL", "loud", "'debug'"),
        ("HEED_ROOT_PATH", "heed", "begins with a slash"),
        ("HEED_MAX_BODY_BYTES", "16MB", "valid integer"),
        ("HEED_SHUTDOWN_TIMEOUT_SECONDS", "-1", "greater than or equal to 1"),
        ("HEED_BODY_TIMEOUT_SECONDS", "0", "greater than or equal to 1"),
        ("HEED_OPEN_PATHS", "page,predict", "'metrics'"),
        ("HEED_CORS_ORIGINS", "https://example.org/", "scheme://host"),
        ("HEED_CORS_ORIGINS", "https://Example.org", "lower case"),
        ("HEED_CORS_ORIGINS", "https://example.org,example.com", "not 'example.com'"),
        ("HEED_CORS_ORIGINS", "http://example.org:port", "scheme://host"),
        ("HEED_CORS_ORIGINS", "https://*.example.org", "scheme://host"),
        ("HEED_TLS_CERTIFICATE", "/nowhere.pem", "'/nowhere.pem' cannot be read: No such file or directory"),
    ],
)
def test_wrong_value_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, complaint: str
) -> None:
    """One line, beginning with the variable."""
    monkeypatch.setenv("HEED_MODEL_REPOSITORY", str(tmp_path))
    monkeypatch.setenv(name, value)

    with pytest.raises(ValidationError) as raised:
        Settings()

    (line,) = complaints(raised.value)
    assert line.startswith(f"{name}: ")
    assert complaint in line


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", "there is no key in it"),
        (" , ", "there is no key in it"),
        (f"{KEY},not-shown", "key 2 is too short, at least 16 characters"),
        (f"{KEY} not-shöwn-and-long", "key 2 has other characters"),
    ],
)
def test_wrong_key_is_told_by_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, complaint: str
) -> None:
    """And never shown, not in the error either."""
    monkeypatch.setenv("HEED_MODEL_REPOSITORY", str(tmp_path))
    monkeypatch.setenv("HEED_API_KEYS", value)

    with pytest.raises(ValidationError) as raised:
        Settings()

    (line,) = complaints(raised.value)
    assert line.startswith(f"HEED_API_KEYS: {complaint}")
    assert "not-sh" not in f"{line} {raised.value} {raised.value!r}"
    assert KEY not in f"{line} {raised.value} {raised.value!r}"


def test_settings_do_not_show_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever prints or logs them prints no key."""
    monkeypatch.setenv("HEED_MODEL_REPOSITORY", str(tmp_path))
    monkeypatch.setenv("HEED_API_KEYS", KEY)

    settings = Settings()

    assert KEY not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "there is no such file"),
        (b"", "there is no key in the file"),
        (b"\n# none yet\n", "there is no key in the file"),
        (b"# one\n0123456789abcdef\ntwo words of it\n", "line 3 has other characters"),
        (b"\xff\xfe", "the file is not ASCII"),
    ],
)
def test_wrong_file_of_keys_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    """It is told what is wrong with the file, not what is in it, and not its name, which may be a key by mistake."""
    (tmp_path / "secret").mkdir()
    if content is not None:
        (tmp_path / "secret" / "keys").write_bytes(content)
    monkeypatch.setenv("HEED_MODEL_REPOSITORY", str(tmp_path))
    monkeypatch.setenv("HEED_API_KEYS_FILE", str(tmp_path / "secret" / "keys"))

    with pytest.raises(ValidationError) as raised:
        Settings()

    (line,) = complaints(raised.value)
    assert line.startswith(f"HEED_API_KEYS_FILE: {complaint}")
    assert "secret" not in f"{line} {raised.value}"


@pytest.mark.parametrize("missing", ["HEED_TLS_CERTIFICATE", "HEED_TLS_KEY"])
def test_certificate_and_key_come_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str) -> None:
    """Half of the pair would be HTTP without anybody knowing."""
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    monkeypatch.setenv("HEED_MODEL_REPOSITORY", str(tmp_path))
    for name in {"HEED_TLS_CERTIFICATE", "HEED_TLS_KEY"} - {missing}:
        monkeypatch.setenv(name, str(tmp_path / "both.pem"))

    with pytest.raises(ValidationError, match="are set together or not at all") as raised:
        Settings()

    assert complaints(raised.value)[0].startswith("HEED_TLS_KEY: ")


def test_lists_are_written_with_commas_or_spaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a variable of several lines too; an empty list is one."""
    monkeypatch.setenv("HEED_MODEL_REPOSITORY", str(tmp_path))
    monkeypatch.setenv("HEED_CORS_ORIGINS", "https://example.org, http://localhost:3000\nhttp://[::1]:8080 *")
    monkeypatch.setenv("HEED_OPEN_PATHS", "")

    settings = Settings()

    assert settings.cors_origins == ("https://example.org", "http://localhost:3000", "http://[::1]:8080", "*")
    assert settings.open_paths == frozenset()


def test_every_wrong_value_has_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All mistakes are told at once."""
    monkeypatch.setenv("HEED_MODEL_REPOSITORY", str(tmp_path))
    monkeypatch.setenv("HEED_PORT", "x")
    monkeypatch.setenv("HEED_WORKERS", "y")

    with pytest.raises(ValidationError) as raised:
        Settings()

    assert [line.partition(":")[0] for line in complaints(raised.value)] == ["HEED_PORT", "HEED_WORKERS"]


def test_default_repository_must_exist_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing falls back silently."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ValidationError, match="no folder 'model_repository'"):
        Settings()


def test_help_tells_every_setting() -> None:
    """Name, default and sentence."""
    text = settings_help()

    for name, field in Settings.model_fields.items():
        assert f"HEED_{name.upper()} (default " in text
        assert field.description
        assert field.description in text


def test_unknown_names_come_with_what_was_meant() -> None:
    """A misspelt setting is told; the export's own variable, and other programs', are not."""
    environment = {
        "HEED_PROT": "1",
        "HEED_DATA": "x",
        "HEED_PORT": "1",
        "heed_host": "",
        "HEEDLESS": "",
        "HEED_XYZZY": "",
    }

    assert list(unknown_names(environment)) == [("HEED_PROT", "HEED_PORT"), ("HEED_XYZZY", None)]
