"""Queries whose answers lie in several indexes, or need a look at each delivery."""

from collections.abc import AsyncIterator

import pytest

from hub.models import Status
from hub.stores import open_store
from hub.stores.base import DeliveryQuery, EventQuery, Page, Store
from tests.clock import ManualClock
from tests.hub.stores.samples import TENANT, claim, publish, result
from tests.redis_servers import RedisServer

MANY = [f"sub_{number:03}" for number in range(130)]


@pytest.fixture
async def store(valkey: RedisServer) -> AsyncIterator[Store]:
    async with open_store(valkey.url(), ManualClock()) as store:
        yield store


async def selected(store: Store, query: DeliveryQuery, limit: int = 7) -> list[str]:
    """The subscriptions of what is listed, page by page; the counts must agree."""
    found, page = [], Page(limit)
    while True:
        listing = await store.archive.deliveries(TENANT, query, page)
        found += [delivery.subscription_id for delivery in listing.items]
        if listing.next_cursor is None:
            break
        page = Page(limit, listing.next_cursor)
    counts = await store.archive.counts(TENANT, query)
    assert {lane: sum(by_status.values()) for lane, by_status in counts.items()} == {
        lane: found.count(lane) for lane in found
    }
    return found


@pytest.mark.parametrize("wanted", [MANY[:1], MANY[:5], MANY[:125]])
async def test_any_number_of_subscriptions_is_listed(store: Store, wanted: list[str]) -> None:
    for _ in range(2):
        await publish(store, *MANY)
    assert sorted(await selected(store, DeliveryQuery(subscription_ids=frozenset(wanted)), 50)) == sorted(wanted * 2)


async def test_what_is_given_together_holds_together(store: Store) -> None:
    one = await publish(store, "sub_1", "sub_2", "sub_3")
    await publish(store, "sub_1", "sub_2", channel="slack")
    both = frozenset({"sub_1", "sub_2"})
    assert sorted(await selected(store, DeliveryQuery(event_id=one.id, subscription_ids=both))) == ["sub_1", "sub_2"]
    assert await selected(store, DeliveryQuery(event_id=one.id, subscription_ids=frozenset())) == []
    assert await selected(store, DeliveryQuery(event_id=one.id, channel="slack")) == []
    assert sorted(await selected(store, DeliveryQuery(channel="slack", subscription_ids=both))) == ["sub_1", "sub_2"]
    assert await selected(store, DeliveryQuery(channel="email", subscription_ids=both)) == []
    but = DeliveryQuery(channel="webhook", not_subscription_ids=both)
    assert await selected(store, but) == ["sub_3"]


async def test_deliveries_of_all_statuses_are_one_list_newest_first(store: Store) -> None:
    published = [(await publish(store, "sub_1", channel=("webhook", "slack")[n % 2])).id for n in range(20)]
    claims = await claim(store, limit=15)
    ends = (Status.DELIVERED, Status.DEAD, Status.CANCELLED, Status.PENDING)
    await store.queue.finish([result(one, ends[n % 4]) for n, one in enumerate(claims[:12])])
    listing = await store.archive.deliveries(TENANT, DeliveryQuery(), Page(50))
    assert [delivery.event_id for delivery in listing.items] == published[::-1]
    assert {delivery.status for delivery in listing.items} == {*ends, Status.SENDING}


async def test_what_is_rare_is_found_among_very_many(store: Store) -> None:
    rare = [(await publish(store, "sub_1", type="rare.one")).id]
    for _ in range(25):
        await publish(store, *MANY)
    rare.append((await publish(store, "sub_1", type="rare.two")).id)
    query = DeliveryQuery(type="rare.*")
    listing = await store.archive.deliveries(TENANT, query, Page(1))
    rest = await store.archive.deliveries(TENANT, query, Page(1, listing.next_cursor))
    assert [delivery.event_id for delivery in listing.items + rest.items] == rare[::-1]
    assert rest.next_cursor is None
    assert await store.archive.counts(TENANT, query) == {"sub_1": {Status.PENDING: 2}}
    events = await store.archive.events(TENANT, EventQuery(type="rare.one"), Page(10))
    assert [event.id for event in events.items] == rare[:1]
