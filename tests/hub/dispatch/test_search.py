"""A search goes on until its page is full or its time is up, and says where it stopped."""

import asyncio

import pytest

from hub.catalogue.event_types.service import EventTypes
from hub.compute import ComputePool
from hub.dispatch.events import Events
from hub.dispatch.search import SEARCH_SECONDS, Search
from hub.models import Event
from hub.stores.base import LIST_STEP, SEARCH_STEP, DeliveryQuery, EventQuery, Listing, Page
from hub.testing.clock import START
from hub.testing.stores.samples import TENANT, publish
from hub.testing.stores.search import publish_many
from tests.hub.dispatch.parts import Parts, deliveries_service

ORDER = b'{"order_id": "o-77"}'
STEP_SECONDS = 0.5


class SlowEvents(Events):
    """Each step takes half a second, and none is begun while another is under way."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts.store.archive)
        self._parts = parts
        self.steps = 0
        self._under_way = False

    async def listing(self, tenant: str, query: EventQuery, page: Page) -> Listing[Event]:
        assert not self._under_way
        self._under_way = True
        found = await super().listing(tenant, query, page)
        self._under_way = False
        self.steps += 1
        self._parts.clock.advance(STEP_SECONDS)
        return found


@pytest.fixture
def events(parts: Parts) -> SlowEvents:
    return SlowEvents(parts)


@pytest.fixture
def search(parts: Parts, events: SlowEvents) -> Search:
    deliveries = deliveries_service(parts, events, print)
    return Search(events, deliveries, EventTypes(parts.catalogue, parts.clock, ComputePool()), parts.clock)


async def test_a_search_ends_when_its_time_is_up_and_its_cursor_goes_on(
    search: Search, events: SlowEvents, parts: Parts
) -> None:
    old = await publish(parts.store, "sub_1", data=ORDER)
    await publish_many(parts.store, 4 * SEARCH_STEP)
    new = await publish(parts.store, "sub_1", data=ORDER)
    first = await search.events(TENANT, "o-7", EventQuery(), Page(10))
    assert [one.id for one in first.items] == [new.id]
    assert first.searched_to == START
    assert SEARCH_SECONDS <= events.steps * STEP_SECONDS <= 2
    rest = await search.events(TENANT, "o-7", EventQuery(), Page(10, first.next_cursor))
    assert [one.id for one in rest.items] == [old.id]
    assert (rest.next_cursor, rest.searched_to) == (None, None)
    deliveries = await search.deliveries(TENANT, "o-7", DeliveryQuery(), Page(10))
    assert [one.event_id for one in deliveries.items] == [new.id, old.id]


async def test_a_full_page_ends_a_search_and_nothing_is_said_to_be_missing(search: Search, parts: Parts) -> None:
    made = [(await publish(parts.store, data=ORDER)).id for _ in range(3)]
    await publish_many(parts.store, SEARCH_STEP)
    first = await search.events(TENANT, "o-7", EventQuery(), Page(2))
    assert ([one.id for one in first.items], first.searched_to) == (made[:0:-1], None)
    rest = await search.events(TENANT, "o-7", EventQuery(), Page(2, first.next_cursor))
    assert ([one.id for one in rest.items], rest.next_cursor) == (made[:1], None)


async def test_searches_take_turns(search: Search, events: SlowEvents, parts: Parts) -> None:
    made = await publish(parts.store, data=ORDER)
    found = await asyncio.gather(*(search.events(TENANT, "o-7", EventQuery(), Page(2)) for _ in range(3)))
    assert [[one.id for one in listing.items] for listing in found] == [[made.id]] * 3
    assert events.steps == 3


async def test_a_list_ends_when_its_time_is_up_and_its_cursor_goes_on(
    search: Search, events: SlowEvents, parts: Parts
) -> None:
    old = await publish(parts.store, "sub_1", type="user.deleted")
    await publish_many(parts.store, 2 * LIST_STEP + 1, "sub_1")
    first = await search.events(TENANT, None, EventQuery(type="user.*"), Page(10))
    assert (first.items, first.searched_to, events.steps) == ((), START, 1)
    second = await search.events(TENANT, None, EventQuery(type="user.*"), Page(10, first.next_cursor))
    rest = await search.events(TENANT, None, EventQuery(type="user.*"), Page(10, second.next_cursor))
    assert ([one.id for one in rest.items], rest.next_cursor, rest.searched_to) == ([old.id], None, None)
    found = await search.deliveries(TENANT, None, DeliveryQuery(type="user.*"), Page(10))
    assert [one.event_id for one in found.items] == [old.id], "a step that takes no time is followed by the next"


async def test_of_the_lists_of_a_tenant_one_step_is_under_way_at_a_time(
    search: Search, events: SlowEvents, parts: Parts
) -> None:
    made = await publish(parts.store, "sub_1")
    found = await asyncio.gather(*(search.events(TENANT, None, EventQuery(), Page(10)) for _ in range(5)))
    assert {one.items[0].id for one in found} == {made.id}
    assert events.steps == 5
