"""The command finds what is wrong and shows no secret."""

import json
import subprocess
from pathlib import Path

import apsw
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.hub.cli.commands import Hub
from tests.redis_servers import RedisServer, free_port
from tests.serving import HUB, surroundings


@pytest.mark.parametrize(
    "store",
    ["redis://hub:canary@127.0.0.1:1/0", "redis://:can/canary@127.0.0.1:1", "rediss://127.0.0.1:1?ssl_password=canary"],
)
def test_the_password_of_the_store_is_not_shown(store: str, tmp_path: Path) -> None:
    environment = surroundings(HUB_STORE_URL=store, HUB_DATA_DIR=str(tmp_path), HUB_PORT="0")
    said = subprocess.run(
        [HUB, "doctor", "--json", "--url", "http://127.0.0.1:1"],
        env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert "127.0.0.1:1" in said.stdout
    assert "canary" not in said.stdout + said.stderr


def examined(hub: Hub, *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    ran = hub("doctor", "--json", *arguments)
    return ran.status, {finding["check"]: finding for finding in json.loads(ran.out)["findings"]}


def test_a_directory_without_a_hub_is_red_and_named(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", str(free_port()))
    status, found = examined(hub)
    assert (status, found["alive"]["state"]) == (1, "failed")
    assert f"There is no store of one either: there is no database at {tmp_path}/var/hub.db." in found["alive"]["seen"]
    assert "HUB_DATA_DIR" in found["alive"]["advice"]


def test_a_server_without_a_hub_is_red(hub: Hub, valkey: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", str(free_port()))
    monkeypatch.setenv("HUB_STORE_URL", valkey.url("nobody"))
    status, found = examined(hub)
    assert (status, found["alive"]["state"]) == (1, "failed")
    assert "nothing is kept under {nobody}:* yet" in found["alive"]["seen"]


def test_a_hub_that_is_stopped_is_no_failure(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", str(free_port()))
    (tmp_path / "var").mkdir(mode=0o700)
    apsw.Connection(str(tmp_path / "var" / "hub.db")).execute("CREATE TABLE t(x)")
    status, found = examined(hub)
    assert (status, found["alive"]["state"]) == (0, "warning")


def test_wrong_settings_end_the_search_where_no_address_is_given(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "many")
    status, found = examined(hub)
    assert (status, list(found)) == (1, ["settings"])
    assert "HUB_PORT: must be a whole number" in found["settings"]["seen"]


def test_a_port_that_the_hub_chooses_has_to_be_given(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "0")
    status, found = examined(hub)
    assert (status, "give --url" in found["hub"]["seen"]) == (1, True)
