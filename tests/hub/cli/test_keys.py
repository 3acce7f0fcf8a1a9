"""Keys from the command line: shown once, alone on standard output, and listed over all pages."""

import json

from tests.hub.cli.commands import Hub, beside
from tests.receivers import Answer, Arrival, Receiver


async def test_a_created_key_is_alone_on_standard_output(hub: Hub) -> None:
    created = {"id": "key_1", "name": "shop", "scopes": ["read"], "key": "hub_1_secret"}
    async with Receiver([Answer(201, json.dumps(created))]) as receiver:
        ran = await beside(hub, "keys", "create", "shop", "-s", "read", "-s", "manage", "--url", receiver.url)
    assert ran.out == "hub_1_secret\n"
    assert "key_1" in ran.err
    assert receiver.requests[0].json() == {"name": "shop", "scopes": ["read", "manage"]}


async def test_listing_keys_reads_every_page(hub: Hub) -> None:
    def pages(arrival: Arrival) -> Answer:
        second = "cursor=next" in arrival.path
        item = {"id": "key_2" if second else "key_1", "name": "n", "scopes": ["read"], "tenant": "default"}
        return Answer(200, json.dumps({"items": [item], "next_cursor": None if second else "next"}))

    async with Receiver(pages) as receiver:
        ran = await beside(hub, "keys", "list", "--json", "--url", receiver.url)
    assert [item["id"] for item in json.loads(ran.out)["items"]] == ["key_1", "key_2"]
