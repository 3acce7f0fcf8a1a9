"""Reading back: filters, pages, statistics, and the isolation of tenants."""

from datetime import timedelta

import pytest

from hub.errors import BadRequest
from hub.models import Outcome, Status
from hub.stores.base import DeliveryQuery, EventQuery, Page, Store
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import OTHER, TENANT, batch, claim, entry, event, publish, result
from hub.testing.stores.suite import StoreSuite

HOUR = timedelta(hours=1)
TYPES = (
    "order",
    "order.",
    "order.created",
    "order.item.added",
    "orders.created",
    "order-x.y",
    "order/x",
    "user.created",
)


async def event_ids(store: Store, query: EventQuery, tenant: str = TENANT) -> set[str]:
    return {one.id for one in (await store.archive.events(tenant, query, Page())).items}


async def delivery_events(store: Store, query: DeliveryQuery) -> set[str]:
    return {one.event_id for one in (await store.archive.deliveries(TENANT, query, Page())).items}


class ArchiveConformance(StoreSuite):
    """The port `Archive`."""

    async def test_what_belongs_to_another_tenant_does_not_exist(self, store: Store) -> None:
        mine = await publish(store, "sub_1")
        (claimed,) = await claim(store)
        await store.queue.finish([result(claimed, Status.DEAD, Outcome.FAILED)])
        archive, id_ = store.archive, claimed.delivery.id
        assert await archive.event(OTHER, mine.id) is None
        assert await archive.delivery(OTHER, id_) is None
        assert await archive.attempts(OTHER, id_) == []
        assert (await archive.events(OTHER, EventQuery(), Page())).items == ()
        assert (await archive.deliveries(OTHER, DeliveryQuery(), Page())).items == ()
        assert (await archive.deliveries(OTHER, DeliveryQuery(event_id=mine.id), Page())).items == ()
        assert (await archive.deliveries(OTHER, DeliveryQuery(status=Status.DEAD), Page())).items == ()
        assert await archive.counts(OTHER, DeliveryQuery()) == {}
        assert await archive.counts(OTHER, DeliveryQuery(subscription_ids=frozenset({"sub_1"}))) == {}
        numbers = await archive.stats(OTHER, START - HOUR, None)
        assert (numbers.accepted, numbers.channels, numbers.recent_failures) == (0, {}, ())

    async def test_what_is_unknown_is_none_and_empty(self, store: Store) -> None:
        assert await store.archive.event(TENANT, "evt_unknown") is None
        assert await store.archive.delivery(TENANT, "dlv_unknown") is None
        assert await store.archive.attempts(TENANT, "dlv_unknown") == []
        assert (await store.archive.deliveries(TENANT, DeliveryQuery(event_id="evt_unknown"), Page())).items == ()

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            (None, set(TYPES)),
            ("*", set(TYPES)),
            ("order.*", {"order.created", "order.item.added"}),
            ("order.item.*", {"order.item.added"}),
            ("order", {"order"}),
            ("order.created", {"order.created"}),
            ("order.%", set()),
            ("or*", set()),
            ("[o]rder.*", set()),
            ("order._reated", set()),
        ],
    )
    async def test_type_patterns_match_whole_segments_only(
        self, store: Store, pattern: str | None, expected: set[str]
    ) -> None:
        for type_ in TYPES:
            await publish(store, "sub_1", type=type_)
        events = await store.archive.events(TENANT, EventQuery(type=pattern), Page())
        assert {one.type for one in events.items} == expected
        deliveries = await store.archive.deliveries(TENANT, DeliveryQuery(type=pattern), Page())
        assert {one.event_type for one in deliveries.items} == expected

    async def test_events_are_filtered_by_subject_and_time_with_since_included_and_until_not(
        self, store: Store
    ) -> None:
        first = await publish(store, subject="orders/1")
        second = await publish(store, subject="orders/2", accepted_at=START + HOUR)
        third = await publish(store, subject="orders/1", accepted_at=START + 2 * HOUR)
        assert await event_ids(store, EventQuery(subject="orders/1")) == {first.id, third.id}
        assert await event_ids(store, EventQuery(subject="orders/1", since=START + HOUR)) == {third.id}
        assert await event_ids(store, EventQuery(subject="orders")) == set()
        assert await event_ids(store, EventQuery(since=START + HOUR)) == {second.id, third.id}
        assert await event_ids(store, EventQuery(until=START + HOUR)) == {first.id}
        assert await event_ids(store, EventQuery(since=START + HOUR, until=START + 2 * HOUR)) == {second.id}

    async def test_deliveries_are_filtered_by_everything_that_is_given_together(self, store: Store) -> None:
        first = await publish(store, "sub_1", "sub_2")
        second = await publish(store, "sub_1", channel="slack", type="user.created", accepted_at=START + HOUR)
        (dead,) = await claim(store, "sub_2")
        await store.queue.finish([result(dead, Status.DEAD, Outcome.FAILED)])
        (sending,) = await claim(store, "sub_1", limit=1)
        cases = {
            DeliveryQuery(): {first.id, second.id},
            DeliveryQuery(status=Status.PENDING): {second.id},
            DeliveryQuery(status=Status.SENDING): {sending.event.id},
            DeliveryQuery(status=Status.DEAD): {first.id},
            DeliveryQuery(status=Status.DELIVERED): set(),
            DeliveryQuery(status=Status.HELD): set(),
            DeliveryQuery(subscription_ids=frozenset({"sub_2"})): {first.id},
            DeliveryQuery(subscription_ids=frozenset({"sub_1", "sub_2"})): {first.id, second.id},
            DeliveryQuery(subscription_ids=frozenset()): set(),
            DeliveryQuery(not_subscription_ids=frozenset({"sub_2"}), event_id=first.id): {first.id},
            DeliveryQuery(not_subscription_ids=frozenset({"sub_1", "sub_2"})): set(),
            DeliveryQuery(subscription_ids=frozenset({"sub_1"}), not_subscription_ids=frozenset({"sub_1"})): set(),
            DeliveryQuery(status=Status.DEAD, subscription_ids=frozenset({"sub_1"})): set(),
            DeliveryQuery(status=Status.DEAD, event_id=first.id): {first.id},
            DeliveryQuery(status=Status.PENDING, subscription_ids=frozenset({"sub_1", "sub_2"})): {second.id},
            DeliveryQuery(event_id=second.id): {second.id},
            DeliveryQuery(channel="slack"): {second.id},
            DeliveryQuery(type="order.*"): {first.id},
            DeliveryQuery(since=START + HOUR): {second.id},
            DeliveryQuery(until=START + HOUR): {first.id},
            DeliveryQuery(status=Status.DEAD, since=START + HOUR): set(),
        }
        for query, expected in cases.items():
            assert await delivery_events(store, query) == expected, query
            counts = await store.archive.counts(TENANT, query)
            listed = (await store.archive.deliveries(TENANT, query, Page())).items
            assert sum(sum(by_status.values()) for by_status in counts.values()) == len(listed), query

    async def test_counts_tell_how_many_by_subscription_and_status(self, store: Store) -> None:
        for _ in range(3):
            await publish(store, "sub_1", "sub_2")
        one, two = await claim(store, "sub_1", limit=2)
        await store.queue.finish([result(one, Status.DELIVERED), result(two, Status.DEAD, Outcome.FAILED)])
        await claim(store, "sub_2", limit=1)
        assert await store.archive.counts(TENANT, DeliveryQuery()) == {
            "sub_1": {Status.PENDING: 1, Status.DELIVERED: 1, Status.DEAD: 1},
            "sub_2": {Status.PENDING: 2, Status.SENDING: 1},
        }

    @pytest.mark.parametrize(
        "query",
        [DeliveryQuery(), DeliveryQuery(status=Status.PENDING), DeliveryQuery(subscription_ids=frozenset({"sub_1"}))],
    )
    async def test_pages_give_everything_once_newest_first(self, store: Store, query: DeliveryQuery) -> None:
        # Some at the same instant, and one from when the clock was behind.
        instants = [START, START, START + HOUR, START + HOUR, START + HOUR, START - HOUR, START + 2 * HOUR]
        published = [await publish(store, "sub_1", accepted_at=at) for at in instants]
        order = [published[n].id for n in (6, 4, 3, 2, 1, 0, 5)]
        for limit in (1, 2, 3, 6, 7, 8):
            for what in ("events", "deliveries"):
                found: list[str] = []
                cursor = None
                while True:
                    page = Page(limit, cursor)
                    if what == "events":
                        events = await store.archive.events(TENANT, EventQuery(), page)
                        found += [one.id for one in events.items]
                        cursor, count = events.next_cursor, len(events.items)
                    else:
                        deliveries = await store.archive.deliveries(TENANT, query, page)
                        found += [one.event_id for one in deliveries.items]
                        cursor, count = deliveries.next_cursor, len(deliveries.items)
                    assert 0 < count <= limit
                    if cursor is None:
                        break
                assert found == order, (limit, what)

    async def test_what_is_published_between_two_pages_neither_shifts_nor_repeats_anything(self, store: Store) -> None:
        before = [(await publish(store, "sub_1")).id for _ in range(4)]
        first = await store.archive.events(TENANT, EventQuery(), Page(2))
        for _ in range(3):
            await publish(store, "sub_1", accepted_at=START + HOUR)
        second = await store.archive.events(TENANT, EventQuery(), Page(2, first.next_cursor))
        assert [one.id for one in first.items + second.items] == before[::-1]
        assert second.next_cursor is None

    @pytest.mark.parametrize("cursor", ["", "x", "äö", "bnVsbA", "WzFd", "WyIxIiwiMiJd", "W3RydWUsMV0", "A" * 10_000])
    async def test_a_cursor_that_no_list_gave_is_a_bad_request(self, store: Store, cursor: str) -> None:
        with pytest.raises(BadRequest):
            await store.archive.events(TENANT, EventQuery(), Page(10, cursor))
        with pytest.raises(BadRequest):
            await store.archive.deliveries(TENANT, DeliveryQuery(), Page(10, cursor))

    async def test_attempts_come_by_number(self, store: Store) -> None:
        new = await publish(store, "sub_1")
        (delivery,) = (await store.archive.deliveries(TENANT, DeliveryQuery(event_id=new.id), Page())).items
        written = []
        for number in range(1, 13):
            (claimed,) = await claim(store)
            failed = result(claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=START)
            await store.queue.finish([failed])
            written.append(failed.attempt)
            assert claimed.delivery.attempt_count == number
        assert await store.archive.attempts(TENANT, delivery.id) == written

    async def test_numbers_count_since_an_instant_by_channel(self, store: Store, clock: ManualClock) -> None:
        for channel, lane in (("webhook", "sub_1"), ("slack", "sub_2")):
            await publish(store, lane, channel=channel)
        old = await claim(store, "sub_1", "sub_2")
        await store.queue.finish([result(one, Status.DEAD, Outcome.FAILED) for one in old])
        clock.advance(3_600)
        for _ in range(4):
            await publish(store, "sub_1", accepted_at=clock.now())
        await publish(store, "sub_2", channel="slack", accepted_at=clock.now())
        one, two, three = await claim(store, "sub_1", limit=3)
        await store.queue.finish(
            [
                result(one, Status.DELIVERED),
                result(two, Status.DEAD, Outcome.FAILED),
                result(three, Status.PENDING, Outcome.FAILED, next_attempt_at=START + 5 * HOUR),
            ]
        )
        numbers = await store.archive.stats(TENANT, START + HOUR, None)
        assert numbers.accepted == 5
        webhook, slack = numbers.channels["webhook"], numbers.channels["slack"]
        assert (webhook.delivered, webhook.failed_attempts, webhook.dead, webhook.pending) == (1, 2, 1, 2)
        assert (slack.delivered, slack.failed_attempts, slack.dead, slack.pending) == (0, 0, 0, 1)
        assert webhook.oldest_pending_at == START + HOUR
        assert webhook.latency_ms == {"p50": 7.0, "p90": 7.0, "p99": 7.0}
        assert slack.latency_ms == {}
        total = numbers.total
        assert (total.delivered, total.failed_attempts, total.dead, total.pending) == (1, 2, 1, 3)
        assert {failure.delivery_id for failure in numbers.recent_failures} == {two.delivery.id, three.delivery.id}
        assert {failure.status_code for failure in numbers.recent_failures} == {500}
        only = await store.archive.stats(TENANT, START, "slack")
        assert set(only.channels) == {"slack"}
        assert (only.total.failed_attempts, only.total.dead, only.total.pending) == (1, 1, 1)
        assert [failure.channel for failure in only.recent_failures] == ["slack"]

    async def test_latency_quantiles_are_those_of_the_attempts(self, store: Store) -> None:
        await store.intake.accept(batch(*(entry(event(), ["sub_1"], index=n) for n in range(100))))
        claims = await claim(store)
        results = [result(one, Status.DELIVERED) for one in claims]
        for duration, one in enumerate(results, start=1):
            assert one.attempt is not None
            object.__setattr__(one, "attempt", one.attempt.model_copy(update={"duration_ms": duration}))
        await store.queue.finish(results)
        numbers = await store.archive.stats(TENANT, START, None)
        assert numbers.total.latency_ms == {"p50": 50.0, "p90": 90.0, "p99": 99.0}
