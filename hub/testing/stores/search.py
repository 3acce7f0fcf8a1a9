"""Searching: what is found, in which order, and how little one call looks at."""

from collections.abc import Sequence

from hub.models import Delivery, Event, Outcome, Status
from hub.stores.base import (
    LIST_STEP,
    PAGE_BYTES,
    SEARCH_STEP,
    DeliveryQuery,
    EventQuery,
    Listing,
    Page,
    Store,
    TextSearch,
)
from hub.testing.clock import START
from hub.testing.stores.samples import OTHER, TENANT, batch, claim, entry, event, publish, result
from hub.testing.stores.suite import StoreSuite

ORDER = b'{"order_id": "o-77", "customer": {"email": "Ada@Example.com"}, "phone": "+44 1"}'


async def pages(store: Store, query: EventQuery, limit: int = 50) -> list[Listing[Event]]:
    """Every page of a search for events."""
    found: list[Listing[Event]] = []
    cursor = None
    while not found or cursor is not None:
        found.append(await store.archive.events(TENANT, query, Page(limit, cursor)))
        cursor = found[-1].next_cursor
    return found


async def found_events(store: Store, query: EventQuery) -> list[str]:
    return [one.id for page in await pages(store, query) for one in page.items]


async def found_deliveries(store: Store, query: DeliveryQuery) -> list[Delivery]:
    found: list[Delivery] = []
    cursor = None
    while True:
        page = await store.archive.deliveries(TENANT, query, Page(50, cursor))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def publish_many(store: Store, count: int, *subscriptions: str) -> Sequence[Event]:
    made = [event(data=b'{"order_id": "other"}') for _ in range(count)]
    for start in range(0, count, 250):
        entries = [entry(one, subscriptions, index=n) for n, one in enumerate(made[start : start + 250])]
        await store.intake.accept(batch(*entries))
    return made


class SearchConformance(StoreSuite):
    """The port `Archive`: how much one call looks at, and what it finds with `search`."""

    async def test_a_text_is_found_by_how_it_begins(self, store: Store) -> None:
        made = await publish(store, subject="orders/O-77", source_id="mine-1", data=ORDER)
        await publish(store, tenant=OTHER, subject="orders/O-77", data=ORDER)
        await publish(store, subject="orders/o-8", data=b'["o-77"]')
        await publish(store, data=b'{"order_id": null, "user_id": {"order_id": "o-77"}, "customer": "Ada@Example.com"}')
        await publish(store, data=b'"o-77"')
        for prefix in (made.id, made.id[:-1], "orders/o-7", "ORDERS/O-77", "o-7", "O-77", "mine-", "ada@EXAMPLE", "A"):
            assert await found_events(store, EventQuery(search=TextSearch(prefix))) == [made.id], prefix
        for prefix in ("-77", "rders", "o-777", "o_77", "o%", "%", "_", "\\", "*", "+44", "Example", "null"):
            assert await found_events(store, EventQuery(search=TextSearch(prefix))) == [], prefix

    async def test_signs_that_patterns_use_stand_for_themselves(self, store: Store) -> None:
        made = [
            await publish(store, data=b'{"user_id": "%s"}' % text) for text in (b"50%_a", b"500xa", rb"c:\\x", b"*")
        ]
        for text, expected in (("50%", 0), ("50%_", 0), ("c:\\", 2), ("*", 3)):
            found = await found_events(store, EventQuery(search=TextSearch(text)))
            assert found == [made[expected].id], text

    async def test_a_whole_number_is_found_by_its_digits_and_other_letters_only_as_they_are(self, store: Store) -> None:
        number = await publish(store, data=b'{"order_id": 450789469}')
        await publish(store, data=b'{"order_id": true, "user_id": 4507.5}')
        umlaut = await publish(store, data='{"order_id": "Ö-1", "user_id": "\\u00d6-2"}'.encode())
        assert await found_events(store, EventQuery(search=TextSearch("4507"))) == [number.id]
        assert await found_events(store, EventQuery(search=TextSearch("t"))) == []
        for text, expected in (("Ö-1", [umlaut.id]), ("Ö-2", [umlaut.id]), ("ö-1", [])):
            assert await found_events(store, EventQuery(search=TextSearch(text))) == expected

    async def test_members_that_a_type_lists_are_searched_in_its_events_alone(self, store: Store) -> None:
        order = await publish(store, type="order.created", data=ORDER)
        await publish(store, type="order.paid", data=ORDER)
        named = await publish(store, type="stock.low", data=b'{"a": {"price in \xe2\x82\xac": 77}}')
        members = (
            ("order.created", ("phone",)),
            ("order.created", ("customer",)),
            ("stock.low", ("a", "price in €")),
            ("stock.low", ("b", "c")),
        )
        assert await found_events(store, EventQuery(search=TextSearch("+44", members))) == [order.id]
        assert await found_events(store, EventQuery(search=TextSearch("77", members))) == [named.id]

    async def test_the_other_conditions_of_a_query_hold_too(self, store: Store) -> None:
        made = await publish(store, "sub_1", type="order.created", data=ORDER)
        paid = await publish(store, "sub_1", "sub_2", type="order.paid", subject="s", data=ORDER)
        (dead,) = await claim(store, "sub_2")
        await store.queue.finish([result(dead, Status.DEAD, Outcome.FAILED)])
        search = TextSearch("o-77")
        assert await found_events(store, EventQuery(search=search)) == [paid.id, made.id]
        assert await found_events(store, EventQuery(type="order.created", search=search)) == [made.id]
        assert await found_events(store, EventQuery(subject="s", search=search)) == [paid.id]
        assert await found_events(store, EventQuery(until=START, search=search)) == []
        for query, count in (
            (DeliveryQuery(search=search), 3),
            (DeliveryQuery(search=TextSearch("o-78")), 0),
            (DeliveryQuery(search=TextSearch(dead.delivery.id)), 1),
            (DeliveryQuery(status=Status.DEAD, search=search), 1),
            (DeliveryQuery(status=Status.PENDING, search=search), 2),
            (DeliveryQuery(subscription_ids=frozenset({"sub_1"}), search=search), 2),
            (DeliveryQuery(not_subscription_ids=frozenset({"sub_1"}), search=search), 1),
            (DeliveryQuery(event_id=paid.id, search=search), 2),
            (DeliveryQuery(channel="slack", search=search), 0),
            (DeliveryQuery(type="order.paid", search=search), 2),
        ):
            assert len(await found_deliveries(store, query)) == count, query

    async def test_one_call_looks_at_a_bounded_number_and_says_where_it_stopped(self, store: Store) -> None:
        wanted = await publish(store, "sub_1", data=ORDER)
        await publish_many(store, SEARCH_STEP + 1, "sub_1")
        archive, search = store.archive, TextSearch("o-77")
        for first in (
            await archive.events(TENANT, EventQuery(search=search), Page(10)),
            await archive.events(TENANT, EventQuery(type="user.*", search=search), Page(10)),
            await archive.deliveries(TENANT, DeliveryQuery(search=search), Page(10)),
        ):
            assert (first.items, first.searched_to) == ((), START)
            assert first.next_cursor is not None
        assert await found_events(store, EventQuery(search=search)) == [wanted.id]
        (delivery,) = await found_deliveries(store, DeliveryQuery(search=search))
        assert delivery.event_id == wanted.id

    async def test_pages_of_a_search_give_everything_once(self, store: Store) -> None:
        made = [(await publish(store, data=ORDER)).id for _ in range(5)]
        for limit in (1, 2, 5, 6):
            found = await pages(store, EventQuery(search=TextSearch("o-77")), limit)
            assert [one.id for page in found for one in page.items] == made[::-1]
            assert all(len(page.items) <= limit for page in found)

    async def test_a_list_that_fits_nothing_looks_at_a_bounded_number_and_says_where_it_stopped(
        self, store: Store
    ) -> None:
        wanted = await publish(store, "sub_2", type="user.deleted", channel="slack")
        await publish_many(store, 2 * LIST_STEP + 1, "sub_1")
        archive, stopped = store.archive, []
        queries = (
            DeliveryQuery(type="user.deleted"),
            DeliveryQuery(not_subscription_ids=frozenset({"sub_1"})),
            DeliveryQuery(status=Status.PENDING, type="user.*"),
            DeliveryQuery(status=Status.PENDING, not_subscription_ids=frozenset({"sub_1"})),
        )
        for query in queries:
            page = await archive.deliveries(TENANT, query, Page(10))
            stopped.append(page.searched_to)
            (delivery,) = await found_deliveries(store, query)
            assert delivery.event_id == wanted.id
        # A store that has an index for it finds it at once.
        assert set(stopped) <= {START, None}
        assert stopped[0] == START
        first = await archive.events(TENANT, EventQuery(type="user.*"), Page(10))
        assert (first.items, first.searched_to is None) == ((), False)
        assert await found_events(store, EventQuery(type="user.*")) == [wanted.id]
        for query, count in (
            (DeliveryQuery(channel="slack"), 1),
            (DeliveryQuery(status=Status.CANCELLED), 0),
            (DeliveryQuery(subscription_ids=frozenset({"sub_1"}), status=Status.DEAD), 0),
            (DeliveryQuery(subscription_ids=frozenset({"sub_1", "sub_2"}), type="user.*"), 1),
        ):
            assert len(await found_deliveries(store, query)) == count, query

    async def test_a_page_of_large_events_is_cut_by_their_bytes(self, store: Store) -> None:
        size = PAGE_BYTES // 3
        made = [(await publish(store, data=b'"%s"' % (b"x" * size))).id for _ in range(5)]
        found = await pages(store, EventQuery())
        assert [len(page.items) for page in found] == [2, 2, 1]
        assert [one.id for page in found for one in page.items] == made[::-1]
        assert {page.searched_to for page in found} == {None}
        huge = await publish(store, data=b'"%s"' % (b"x" * (PAGE_BYTES + 1)))
        first, *_ = await pages(store, EventQuery())
        assert [one.id for one in first.items] == [huge.id]
