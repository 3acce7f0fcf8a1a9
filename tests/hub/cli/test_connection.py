"""Which hub a command speaks to, with which key, and how it shows the answer."""

import json
from pathlib import Path

import pytest

from hub.cli.connection import own_url
from hub.settings import Settings
from hub.testing.receivers import Receiver, Reply
from tests.hub.cli.commands import ACCEPTED, KEY, Hub, beside


async def test_json_is_given_to_programs_as_one_line(hub: Hub) -> None:
    async with Receiver([ACCEPTED]) as receiver:
        ran = await beside(hub, "publish", "x", "-d", "1", "--json", "--url", receiver.url)
    assert ran.out.count("\n") == 1
    assert json.loads(ran.out) == json.loads(str(ACCEPTED.body))


async def test_the_admin_key_of_the_data_directory_is_for_this_machine_only(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    (tmp_path / "admin.key").write_text(f"{KEY}\n")
    async with Receiver([Reply(200, '{"items": []}')] * 2) as receiver:
        await beside(hub, "keys", "list", "--url", receiver.url)
        await beside(hub, "keys", "list", "--url", receiver.url, "--key", "\ufeffanother\n")
    assert [arrival.headers["Authorization"] for arrival in receiver.requests] == [f"Bearer {KEY}", "Bearer another"]


async def test_a_blank_key_file_is_told_and_never_sent(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    (tmp_path / "admin.key").write_text("\n")
    async with Receiver([]) as receiver:
        ran = await beside(hub, "keys", "list", "--url", receiver.url)
    assert (ran.status, receiver.requests) == (1, [])
    assert "admin.key is blank" in ran.err


@pytest.mark.parametrize("source", ["environment", "file"])
async def test_without_an_address_the_hub_is_where_its_settings_say(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    async with Receiver([Reply(200, '{"items": []}')]) as receiver:
        port = receiver.url.rpartition(":")[2]
        if source == "environment":
            monkeypatch.setenv("HUB_PORT", port)
        else:
            (tmp_path / "hub.toml").write_text(f'port = {port}\nhost = "0.0.0.0"\n')
        ran = await beside(hub, "keys", "list", "--json")
    assert (ran.status, len(receiver.requests)) == (0, 1)


async def test_an_address_that_is_given_comes_before_the_settings(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "1")
    async with Receiver([Reply(200, '{"items": []}')]) as receiver:
        monkeypatch.setenv("HUB_URL", receiver.url)
        ran = await beside(hub, "keys", "list", "--json")
    assert (ran.status, len(receiver.requests)) == (0, 1)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:81"),
        ("0.0.0.0", "http://127.0.0.1:81"),
        ("::", "http://[::1]:81"),
        ("fd00::1", "http://[fd00::1]:81"),
        ("hub.internal", "http://hub.internal:81"),
    ],
)
def test_an_address_to_listen_on_becomes_one_to_call(own_surroundings: None, host: str, url: str) -> None:
    assert own_url(Settings(host=host, port=81)) == url


def test_a_port_that_the_hub_chooses_has_to_be_given(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "0")
    ran = hub("keys", "list")
    assert (ran.status, "give --url" in ran.err) == (1, True)
