"""The doctor finds what is wrong on a machine and says what to do about it."""

import socket
from pathlib import Path

import apsw
import pytest

from hub.cli.checks import address, check_channels, local
from hub.clock import SystemClock
from hub.findings import EMPTY_STORE, Finding
from hub.settings import Settings
from tests.redis_servers import RedisServer


def looked_at(data_dir: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in local(Settings(data_dir=data_dir), SystemClock())}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory as a hub leaves it."""
    directory = tmp_path / "var"
    directory.mkdir(mode=0o700)
    for name in ("admin.key", "secret.key"):
        (directory / name).write_text("x" * 43)
        (directory / name).chmod(0o600)
    connection = apsw.Connection(str(directory / "hub.db"))
    connection.execute("PRAGMA journal_mode=WAL; CREATE TABLE t(x); CREATE INDEX i ON t(x)").fetchall()
    with connection:
        connection.executemany("INSERT INTO t VALUES(?)", ((f"{number:0100}",) for number in range(1000)))
    connection.close()
    return directory


def test_a_sound_machine_has_nothing_to_fix(data_dir: Path) -> None:
    found = looked_at(data_dir)
    assert list(found) == [
        "settings", "store", "sqlite", "data directory", "admin.key", "secret.key", "disk", "database"
    ]  # fmt: skip
    assert {finding.state for finding in found.values()} <= {"ok", "warning"}
    assert "is intact" in found["database"].seen


def test_where_nothing_is_the_places_are_named(tmp_path: Path) -> None:
    found = looked_at(tmp_path / "not" / "yet")
    assert [found[name].state for name in ("data directory", EMPTY_STORE)] == ["warning"] * 2
    assert found[EMPTY_STORE].seen == f"there is no database at {tmp_path}/not/yet/hub.db"
    assert "HUB_DATA_DIR" in found[EMPTY_STORE].advice


def test_the_settings_file_is_named(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert looked_at(data_dir)["settings"].seen == f"the environment; no {tmp_path / 'hub.toml'}"
    (tmp_path / "own.toml").write_text("")
    monkeypatch.setenv("HUB_CONFIG", str(tmp_path / "own.toml"))
    assert looked_at(data_dir)["settings"].seen == f"the environment and {tmp_path / 'own.toml'}"


def test_a_database_of_a_newer_version_is_found(data_dir: Path) -> None:
    connection = apsw.Connection(str(data_dir / "hub.db"))
    connection.pragma("user_version", 999)
    connection.close()
    finding = looked_at(data_dir)["database"]
    assert (finding.state, "a newer version of the hub (schema 999" in finding.seen) == ("failed", True)


def test_a_key_file_without_a_key_is_found(data_dir: Path) -> None:
    (data_dir / "secret.key").write_text("\n")
    finding = looked_at(data_dir)["secret.key"]
    assert (finding.state, "is blank" in finding.seen) == ("failed", True)


def test_a_server_that_keeps_everything_is_looked_at_instead_of_a_file(data_dir: Path, valkey: RedisServer) -> None:
    settings = Settings(data_dir=data_dir, store_url=valkey.url("hub"), redis_wait_replicas=1)
    found = {finding.check: finding for finding in local(settings, SystemClock())}
    assert "database" not in found
    assert found["redis saves"].state == "ok"
    assert found["redis replicas"].state == "warning"
    assert found["redis keys"].seen.endswith("the hub's are {hub}:*")


@pytest.mark.parametrize(
    ("url", "check", "seen"),
    [
        ("redis://:sesame@127.0.0.1:1", "redis", "cannot be reached"),
        ("redis://127.0.0.1/0/1", "redis", "The address of a Redis store is"),
        ("mongo://127.0.0.1", "store", "there is no store mongo://"),
    ],
)
def test_a_store_that_cannot_be_used_is_found(url: str, check: str, seen: str, data_dir: Path) -> None:
    found = {f.check: f for f in local(Settings(data_dir=data_dir, store_url=url), SystemClock())}
    assert (found[check].state, seen in found[check].seen) == ("failed", True)
    assert "sesame" not in str(found.values())


def test_a_file_in_place_of_the_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    assert looked_at(tmp_path / "var")["data directory"].state == "failed"


def test_a_key_that_others_can_read_is_found(data_dir: Path) -> None:
    (data_dir / "admin.key").chmod(0o644)
    finding = looked_at(data_dir)["admin.key"]
    assert (finding.state, finding.seen) == ("failed", "others may read it (mode 0644)")
    assert f"chmod 600 {data_dir / 'admin.key'}" in finding.advice


def test_a_directory_that_everyone_can_write_is_found(data_dir: Path) -> None:
    data_dir.chmod(0o777)
    assert looked_at(data_dir)["data directory"].state == "failed"


@pytest.mark.parametrize("offset", [0, 8192])
def test_a_damaged_database_is_found(data_dir: Path, offset: int) -> None:
    with (data_dir / "hub.db").open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 4096)
    finding = looked_at(data_dir)["database"]
    assert finding.state == "failed"
    assert "restore a backup" in finding.advice


def test_an_address_that_is_taken_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = address(Settings(port=port))
    assert (finding.state, finding.seen) == ("failed", f"127.0.0.1:{port}: Address already in use")
    assert address(Settings(port=port)).state == "ok"


def test_a_misspelt_setting_is_found_with_the_one_that_was_meant(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_SMTP_ULR", "smtp://mail")
    monkeypatch.setenv("HUB_CONFIG", str(tmp_path / "hub.toml"))
    (tmp_path / "hub.toml").write_text("HUB_PORT = 1\n[hub]\nport = 2\n")
    settings = Settings(data_dir=data_dir)
    unknown = {f.seen: f for f in local(settings, SystemClock()) if f.check == "unknown"}
    assert unknown["nothing reads HUB_SMTP_ULR"].advice == "Did you mean HUB_SMTP_URL?"
    assert unknown["nothing reads HUB_PORT in hub.toml"].advice == "Did you mean port?"
    assert unknown["nothing reads [hub] in hub.toml"].advice.startswith("hub.toml has no sections")
    assert {finding.state for finding in unknown.values()} == {"warning"}


def test_without_a_hub_the_settings_of_channels_are_checked_all_the_same(data_dir: Path) -> None:
    refused, wrong = "smtp://127.0.0.1:1", "http://mail"
    (found,) = check_channels(Settings(data_dir=data_dir, channel_options={"smtp_url": refused}))
    assert (found.check, found.state) == ("channel email", "failed")
    assert found.seen == "no connection to the mail server could be made"
    (found,) = check_channels(Settings(data_dir=data_dir, channel_options={"smtp_url": wrong}))
    assert (found.check, found.state, "HUB_SMTP_URL must be smtp://" in found.seen) == ("channels", "failed", True)
    assert [*check_channels(Settings(data_dir=data_dir))] == []


def test_a_sandbox_is_seen(data_dir: Path) -> None:
    found = {finding.check: finding for finding in local(Settings(data_dir=data_dir, sandbox=True), SystemClock())}
    assert found["sandbox"].state == "warning"
