"""Which hub a command speaks to, with which key, and how it shows the answer."""

import json
from pathlib import Path

import pytest

from tests.hub.cli.commands import ACCEPTED, KEY, Hub, beside
from tests.receivers import Answer, Receiver


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
    async with Receiver([Answer(200, '{"items": []}')] * 2) as receiver:
        await beside(hub, "keys", "list", "--url", receiver.url)
        await beside(hub, "keys", "list", "--url", receiver.url, "--key", "another")
    assert [arrival.headers["Authorization"] for arrival in receiver.requests] == [f"Bearer {KEY}", "Bearer another"]
