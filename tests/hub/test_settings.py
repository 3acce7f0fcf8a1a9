"""Settings come from the environment before the file, and secrets of the hub are not passed on to channels."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from hub.settings import Platform, Settings, bare_key, bare_setting, read_key, unknown_settings

SECRET = "s" * 40


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in {name for name in os.environ if name.startswith("HUB_")} | {"PORT", "WEB_CONCURRENCY"}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_environment_counts_more_than_the_file_and_what_is_given_more_than_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hub.toml").write_text('port = 1\nhost = "file"\nlog_level = "debug"\n')
    monkeypatch.setenv("HUB_PORT", "2")
    monkeypatch.setenv("HUB_HOST", "environment")
    settings = Settings(port=3)
    assert (settings.port, settings.host, settings.log_level) == (3, "environment", "debug")


def test_the_file_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("port = 1\n")
    monkeypatch.setenv("HUB_CONFIG", str(tmp_path / "other.toml"))
    assert Settings().port == 1


def test_a_file_that_is_named_and_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUB_CONFIG", str(tmp_path / "other.toml"))
    with pytest.raises(ValueError, match=r"HUB_CONFIG names .*other\.toml, and there is no such file"):
        Settings()
    monkeypatch.setenv("HUB_CONFIG", "")
    assert Settings().port == 8000


def test_without_an_address_the_store_is_a_file_in_the_data_directory() -> None:
    assert Settings(data_dir=Path("/srv/hub")).store_url == "sqlite:////srv/hub/hub.db"
    assert Settings(store_url="redis://127.0.0.1").store_url == "redis://127.0.0.1"


def test_networks_are_read_from_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_ALLOW_PRIVATE_TARGETS", "10.0.0.0/8, fd00::/8,")
    assert Settings().allow_private_targets == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_origins_are_read_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    given = "https://App.example.com/, https://a.example:443,http://a.example:80,http://b.example:443,http://[::1]:5173"
    monkeypatch.setenv("HUB_CORS_ORIGINS", given + ",capacitor://localhost")
    assert Settings().cors_origins == (
        "https://app.example.com",
        "https://a.example",
        "http://a.example",
        "http://b.example:443",
        "http://[::1]:5173",
        "capacitor://localhost",
    )


@pytest.mark.parametrize(
    "wrong",
    ["*", "null", "app.example.com", "https://app.example.com/console", "https://*.example.com", "https://é.eu"],
)
def test_what_no_browser_sends_as_an_origin_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """One that is not sent would never match; `*` would let every page on the internet in."""
    monkeypatch.setenv("HUB_CORS_ORIGINS", f"https://a.example,{wrong}")
    with pytest.raises(ValidationError, match="must be origins such as"):
        Settings()


def test_channels_are_given_every_setting_but_the_secrets_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hub.toml").write_text(f'smtp_url = "smtp://file"\nsecret_key = "{SECRET}"\nfile_keep = 3\n')
    monkeypatch.setenv("HUB_SMTP_URL", "smtp://environment")
    monkeypatch.setenv("HUB_ADMIN_KEY", SECRET)
    options = Settings(channel_options={"file_max_bytes": "10"}).channel_options
    assert options == {"smtp_url": "smtp://environment", "file_keep": "3", "file_max_bytes": "10"}


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SLACK_API_URL", "")
    monkeypatch.setenv("HUB_PORT", "")
    assert Settings().channel_options == {}
    assert Settings().port == 8000


@pytest.mark.parametrize(
    "wrong",
    [
        {"admin_key": "short-secret"},
        {"retention": float("inf")},
        {"attempt_timeout": 31},
        {"port": 70_000},
        {"root_path": "hub"},
        {"log_level": "loud"},
        {"log_format": "xml"},
    ],
)
def test_a_wrong_setting_is_refused_and_not_repeated(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(wrong)
    assert "short-secret" not in str(refused.value)


@pytest.mark.parametrize("around", ["\n", "\r\n", " ", "\t", "\ufeff", "\u00a0"])
def test_what_files_and_shells_add_around_a_value_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, around: str
) -> None:
    monkeypatch.setenv("HUB_ADMIN_KEY", f"{around}{SECRET}{around}")
    monkeypatch.setenv("HUB_RESEND_API_KEY", f"re_1{around}")
    monkeypatch.setenv("HUB_OTLP_ENDPOINT", around)
    (tmp_path / "hub.toml").write_text('smtp_url = "\\n\\ufeff smtp://file "\n')
    settings = Settings()
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == SECRET
    assert settings.channel_options == {"resend_api_key": "re_1", "smtp_url": "smtp://file"}
    assert settings.otlp_endpoint == ""


@pytest.mark.parametrize("name", ["HUB_RESEND_API_KEY", "HUB_ADMIN_KEY", "HUB_STORE_URL", "HUB_OF_A_LATER_CHANNEL"])
@pytest.mark.parametrize("control", ["\n", "\r", "\x00", "\x1b", "\x85", "\u2028"])
def test_a_control_character_inside_of_a_value_is_refused_by_the_name_of_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, control: str
) -> None:
    # The environment itself cannot hold a NUL, but a file can.
    monkeypatch.setattr(os, "environ", {**os.environ, name: f"canary{control}{SECRET}"})
    with pytest.raises(ValidationError, match=f"{name} contains a line break or another control") as refused:
        Settings()
    assert "canary" not in str(refused.value)


def test_a_list_may_stand_on_several_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_ALLOW_PRIVATE_TARGETS", "10.0.0.0/8,\n fd00::/8\n")
    assert Settings().allow_private_targets == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize("name", ["HUB_ADMIN_KEY", "HUB_SECRET_KEY"])
def test_a_blank_key_is_refused_and_not_generated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, " \n")
    with pytest.raises(ValidationError):
        Settings()


def test_a_prefix_may_be_given_with_a_slash_at_its_end() -> None:
    assert [Settings(root_path=given).root_path for given in ("", "/", "/hub", "/a/hub/")] == ["", "", "/hub", "/a/hub"]


def test_what_a_platform_sets_is_read_without_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert Platform() == Platform(port=None, web_concurrency=4)


@pytest.mark.parametrize("around", ["{}\n", " {}\r\n", "\ufeff{}", "\ufeff {}\n"])
def test_a_key_is_taken_without_what_editors_put_around_it(
    around: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUB_ADMIN_KEY", around.format(SECRET))
    given = Settings().admin_key
    assert given is not None
    assert given.get_secret_value() == SECRET
    (tmp_path / "admin.key").write_text(around.format(SECRET))
    assert read_key(tmp_path / "admin.key") == SECRET


@pytest.mark.parametrize(
    ("end", "of_key", "of_setting"),
    [
        ("\u00a0", "", ""),
        ("\u2003", "", "\u2003"),
        ("\x85", "", "\x85"),
        ("\u2028", "", "\u2028"),
        ("\ufeff \ufeff", "\ufeff", ""),
        ("\u200b", "\u200b", "\u200b"),
    ],
)
def test_keys_keep_the_rule_that_secrets_were_sealed_by_and_settings_the_stricter_one(
    end: str, of_key: str, of_setting: str
) -> None:
    assert (bare_key(f"a{end}"), bare_setting(f"a{end}")) == (f"a{of_key}", f"a{of_setting}")


@pytest.mark.parametrize("name", ["HUB_ADMIN_KEY", "HUB_SECRET_KEY"])
@pytest.mark.parametrize("blank", ["", " ", "\n", "\ufeff", "short", f"{'s' * 31}\n"])
def test_a_key_that_is_blank_or_short_is_refused(name: str, blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, blank)
    with pytest.raises(ValidationError):
        Settings()


def test_a_blank_key_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text('admin_key = ""\n')
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize(
    ("content", "seen"),
    [(b"", "is blank"), (b" \n", "is blank"), (b"short\n", "has only 5 characters"), (b"\xff" * 40, "is not text")],
)
def test_a_key_file_without_a_key_is_refused(content: bytes, seen: str, tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_bytes(content)
    with pytest.raises(ValueError, match=rf"admin\.key {seen}; it must have 32 or more\. .* HUB_ADMIN_KEY"):
        read_key(tmp_path / "admin.key")


def test_what_nothing_reads_is_found_with_what_was_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HUB_PROT", "HUB_RETENTOIN", "HUB_XYZZY", "HUB_URL", "HUB_KEY", "HUB_HOST", "HUB_SMTP_URL"):
        monkeypatch.setenv(name, "")
    (tmp_path / "hub.toml").write_text('prot = 1\nport = 2\n[smtp]\nurl = "x"\n')
    assert unknown_settings(["smtp_url"]) == [
        ("HUB_PROT", "HUB_PORT"),
        ("HUB_RETENTOIN", "HUB_RETENTION"),
        ("HUB_XYZZY", None),
        ("[smtp] in hub.toml", "smtp_url"),
        ("prot in hub.toml", "port"),
    ]
