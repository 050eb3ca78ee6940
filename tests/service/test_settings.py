"""Settings: read from the environment, bounded, explained."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import NAMES_OF_LATER, Settings, complaints, names_of_later, settings_help, unknown_names


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


def test_documented_settings_that_come_later_are_told_apart() -> None:
    """Each is named once and is not unknown; the control of models that is the default anyway is passed over."""
    environment = dict.fromkeys(NAMES_OF_LATER, "1")

    assert list(names_of_later(environment)) == sorted(NAMES_OF_LATER)
    assert list(unknown_names(environment)) == []
    assert list(names_of_later({"HEED_MODEL_CONTROL": "none"})) == []
    assert list(names_of_later({"HEED_MODEL_CONTROL": "explicit", "HEED_PORT": "1"})) == ["HEED_MODEL_CONTROL"]
