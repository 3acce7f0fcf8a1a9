"""A store has the mark of its format, and one that a newer version marked is refused and left as it is."""

import pytest

from hub.errors import HubError
from hub.stores import open_store
from hub.stores.base import FanOut, Section, Store
from hub.stores.milliseconds import milliseconds
from hub.stores.redis.keyspace.codec import STORE_FORMAT
from hub.testing.clock import ManualClock
from hub.testing.stores import OpenStore
from hub.testing.stores.samples import OTHER, SUBSCRIPTION, TENANT, batch, entry, event, match, publish
from tests.redis_servers import RedisServer, new_prefix


class Mark:
    """The mark of the store under a prefix."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self._server = server
        self._meta = f"{{{prefix}}}:meta"

    @property
    def value(self) -> str | None:
        mark = self._server.ask("HGET", self._meta, "format")
        return mark if mark is None else mark.decode()

    def set(self, value: int) -> None:
        self._server.ask("HSET", self._meta, "format", value)

    def remove(self) -> None:
        self._server.ask("HDEL", self._meta, "format")


@pytest.fixture
def mark(valkey: RedisServer, prefix: str) -> Mark:
    return Mark(valkey, prefix)


async def test_a_new_store_is_marked_when_it_is_opened(mark: Mark, store: Store) -> None:
    assert mark.value == str(STORE_FORMAT)


async def test_a_store_of_the_first_release_has_no_mark_and_gets_one(mark: Mark, opened: OpenStore) -> None:
    event = await publish(await opened.open(), SUBSCRIPTION)
    mark.remove()
    store = await opened.reopen()
    assert mark.value == str(STORE_FORMAT)
    assert await store.archive.event(event.tenant, event.id) == event


async def test_fan_outs_of_format_1_which_were_in_one_index_are_found_by_their_tenants(
    mark: Mark, opened: OpenStore, valkey: RedisServer, prefix: str
) -> None:
    store = await opened.open()
    new = [event(tenant=tenant) for tenant in (TENANT, OTHER, TENANT)]
    for one in new:
        await store.intake.accept(batch(entry(one, fan_out=match()), tenant=one.tenant))
    await opened.close()
    hub = f"{{{prefix}}}"
    for one in new:
        valkey.ask("ZADD", f"{hub}:fan-outs", 0, f"{milliseconds(one.accepted_at)}{one.id}")
        valkey.ask("HDEL", f"{hub}:s:{one.id}", "match")
    valkey.ask("DEL", f"{hub}:fanning", f"{hub}:fan-outs:{TENANT}", f"{hub}:fan-outs:{OTHER}")
    mark.set(1)
    store = await opened.open()
    assert mark.value == str(STORE_FORMAT)
    assert await store.intake.fan_outs(10) == [FanOut(new[0], ""), FanOut(new[2], "")]
    assert await store.intake.fan_outs(10, TENANT) == [FanOut(new[1], "")]
    assert not valkey.ask("EXISTS", f"{hub}:fan-outs")


async def test_a_newer_store_is_refused_with_what_to_do_and_nothing_in_it_changes(
    mark: Mark, opened: OpenStore, valkey: RedisServer, prefix: str
) -> None:
    await publish(await opened.open(), SUBSCRIPTION)
    await opened.close()
    mark.set(STORE_FORMAT + 1)
    before = valkey.kept(prefix)
    with pytest.raises(HubError, match="written by a newer version of the hub") as refused:
        await opened.open()
    assert f"format {STORE_FORMAT + 1}, this one knows {STORE_FORMAT}" in refused.value.detail
    assert "restore the backup from before it" in refused.value.detail
    assert valkey.kept(prefix) == before


async def test_a_server_that_came_back_empty_is_marked_by_the_next_write(
    mark: Mark, store: Store, valkey: RedisServer, prefix: str
) -> None:
    await publish(store, SUBSCRIPTION)
    for key in valkey.kept(prefix):
        valkey.ask("DEL", key)
    await publish(store, SUBSCRIPTION)
    assert mark.value == str(STORE_FORMAT)


async def test_a_copy_has_the_mark_of_the_version_that_made_it_and_not_of_its_source(
    store: Store, mark: Mark, valkey: RedisServer, clock: ManualClock
) -> None:
    await publish(store, SUBSCRIPTION)
    mark.set(STORE_FORMAT + 1)
    prefix = new_prefix()
    async with open_store(valkey.url(prefix), clock) as destination:
        counters = await store.transfer.read(Section.COUNTERS, "", 1)
        await destination.transfer.begin("mark of the source", counters.documents)
        assert Mark(valkey, prefix).value == str(STORE_FORMAT)
