"""Keys from the command line: shown once, alone on standard output, and listed over all pages."""

import json
from typing import Any

import pytest

from hub.models import Scope
from hub.testing.receivers import Arrival, Receiver, Reply
from tests.hub.cli.commands import Hub, beside


async def test_a_created_key_is_alone_on_standard_output(hub: Hub) -> None:
    created = {"id": "key_1", "name": "shop", "scopes": ["read"], "key": "hub_1_secret"}
    async with Receiver([Reply(201, json.dumps(created))]) as receiver:
        ran = await beside(hub, "keys", "create", "shop", "-s", "read", "-s", "manage", "--url", receiver.url)
    assert ran.out == "hub_1_secret\n"
    assert "key_1" in ran.err
    assert receiver.requests[0].json() == {"name": "shop", "scopes": ["read", "manage"]}


async def test_listing_keys_reads_every_page(hub: Hub) -> None:
    def pages(arrival: Arrival) -> Reply:
        second = "cursor=next" in arrival.path
        item = {"id": "key_2" if second else "key_1", "name": "n", "scopes": ["read"], "tenant": "default"}
        return Reply(200, json.dumps({"items": [item], "next_cursor": None if second else "next"}))

    async with Receiver(pages) as receiver:
        ran = await beside(hub, "keys", "list", "--json", "--url", receiver.url)
    assert [item["id"] for item in json.loads(ran.out)["items"]] == ["key_1", "key_2"]


@pytest.mark.parametrize("columns", ["20", "40", "200"])
async def test_a_listing_never_cuts_an_id(hub: Hub, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    long: dict[str, Any] = {"id": f"key_{'0' * 32}", "name": "a name " * 6, "scopes": [*Scope], "tenant": "t" * 60}
    async with Receiver([Reply(200, json.dumps({"items": [long], "next_cursor": None}))]) as receiver:
        ran = await beside(hub, "keys", "list", "--url", receiver.url)
    row = ran.out.splitlines()[1]
    assert all(text in row for text in (long["id"], long["name"].strip(), long["tenant"], " ".join(Scope), "never"))
