"""A wrong setting is named, in words of this project."""

from pathlib import Path

import pytest

from hub.cli.client import ClientError
from hub.cli.configuration import load, load_settings
from hub.settings import Platform


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HUB_PORT", "many", "HUB_PORT: must be a whole number"),
        ("HUB_PORT", "70000", "HUB_PORT: must be at most 65535"),
        ("HUB_RETENTION", "inf", "HUB_RETENTION: must be a finite number"),
        ("HUB_LEASE", "0", "HUB_LEASE: must be at least 2"),
        ("HUB_STRICT_TYPES", "perhaps", "HUB_STRICT_TYPES: must be true or false"),
        ("HUB_ADMIN_KEY", " ", "HUB_ADMIN_KEY: must have at least 32 characters"),
        ("HUB_ALLOW_PRIVATE_TARGETS", "10.0.0.0/8,lan", "HUB_ALLOW_PRIVATE_TARGETS: must be a network, such as 10."),
    ],
)
def test_a_wrong_setting_is_told_in_plain_words(
    own_surroundings: None, name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ClientError, match=f"^A setting is wrong: {said}"):
        load_settings()


def test_a_wrong_variable_of_a_platform_has_no_prefix(own_surroundings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "0")
    with pytest.raises(ClientError, match="wrong: WEB_CONCURRENCY: must be at least 1"):
        load(Platform)


def test_a_file_that_is_no_toml_is_told(own_surroundings: None, tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("port == 1")
    with pytest.raises(ClientError, match="The settings file cannot be read: "):
        load_settings()
