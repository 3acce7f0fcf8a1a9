"""Housekeeping removes what is old and keeps what is under way."""

from datetime import timedelta

from hub.models import Cause, Outcome, Status, TaskStatus
from hub.stores.base import Backlog, DeliveryQuery, EventQuery, Page, Result, Store
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import (
    OTHER,
    TENANT,
    batch,
    claim,
    entry,
    event,
    idempotency,
    match,
    publish,
    result,
    task,
)
from hub.testing.stores.suite import StoreSuite

LATER = START + timedelta(hours=1)


async def kept(store: Store, tenant: str = TENANT) -> list[str]:
    return [one.id for one in (await store.archive.events(tenant, EventQuery(), Page(200))).items]


async def purged(store: Store, limit: int = 100) -> int:
    """How many events a purge removes, in as many calls as it needs."""
    count, more = 0, True
    while more:
        removed, more = await store.upkeep.purge(LATER, limit)
        count += removed
    return count


class UpkeepConformance(StoreSuite):
    """The port `Upkeep`."""

    async def test_purging_removes_old_events_of_every_tenant_with_deliveries_and_attempts(self, store: Store) -> None:
        await publish(store, "sub_1")
        await publish(store, tenant=OTHER)
        young = await publish(store, accepted_at=LATER)
        (claimed,) = await claim(store)
        await store.queue.finish([result(claimed, Status.DELIVERED)])
        assert await purged(store) == 2
        assert await kept(store) == [young.id]
        assert await kept(store, OTHER) == []
        assert await store.archive.delivery(TENANT, claimed.delivery.id) is None
        assert await store.archive.attempts(TENANT, claimed.delivery.id) == []
        assert await store.archive.counts(TENANT, DeliveryQuery()) == {}
        assert await purged(store) == 0

    async def test_an_event_stays_for_as_long_after_its_last_delivery_ended(
        self, store: Store, clock: ManualClock
    ) -> None:
        late, without = await publish(store, "sub_1", "sub_2", subject="late"), await publish(store)
        clock.advance(3_600)
        for lane in ("sub_1", "sub_2"):
            clock.advance(60)
            (claimed,) = await claim(store, lane)
            await store.queue.finish([result(claimed, Status.DEAD, Outcome.FAILED, updated_at=clock.now())])
        assert (await store.upkeep.purge(clock.now(), 100)).number == 1
        assert await kept(store) == [late.id], f"{without.id} had nothing to wait for"
        assert (await store.upkeep.purge(clock.now() + timedelta(milliseconds=1), 100)).number == 1
        found = await store.archive.events(TENANT, EventQuery(subject="late"), Page(200))
        assert (await kept(store), found.items) == ([], ())

    async def test_what_is_replayed_stays_from_then_on(self, store: Store, clock: ManualClock) -> None:
        replayed = await publish(store, "sub_1")
        (claimed,) = await claim(store)
        await store.queue.finish([result(claimed, Status.DELIVERED)])
        clock.advance(7_200)
        ended = await store.archive.delivery(TENANT, claimed.delivery.id)
        assert ended is not None
        again = {"status": Status.PENDING, "updated_at": clock.now(), "next_attempt_at": clock.now()}
        await store.queue.finish([Result(ended.model_copy(update=again), cause=Cause.REPLAY)])
        assert (await store.upkeep.purge(clock.now() + timedelta(days=1), 100)).number == 0
        (claimed,) = await claim(store)
        await store.queue.finish([result(claimed, Status.DELIVERED, updated_at=clock.now())])
        assert (await store.upkeep.purge(LATER, 100)).number == 0
        assert await kept(store) == [replayed.id]

    async def test_what_comes_after_a_purge_inherits_nothing(self, store: Store) -> None:
        await publish(store, "sub_1")
        await store.queue.finish([result((await claim(store))[0], Status.DELIVERED)])
        await purged(store)
        await publish(store, "sub_1")
        (claimed,) = await claim(store)
        assert await store.archive.attempts(TENANT, claimed.delivery.id) == []

    async def test_purging_leaves_what_is_pending_sending_or_fanning_out(self, store: Store) -> None:
        pending = await publish(store, "sub_1", "sub_2")
        sending = await publish(store, "sub_3")
        fanning = event()
        await store.intake.accept(batch(entry(fanning, fan_out=match())))
        (claimed,) = await claim(store, "sub_2")
        await store.queue.finish([result(claimed, Status.DEAD, Outcome.FAILED)])
        await claim(store, "sub_3")
        assert await purged(store) == 0
        assert set(await kept(store)) == {pending.id, sending.id, fanning.id}

    async def test_purging_goes_on_past_what_has_to_stay_up_to_its_limit(self, store: Store) -> None:
        staying = [await publish(store, "sub_1"), await publish(store, "sub_1"), event(), event()]
        await store.intake.accept(batch(*(entry(one, index=n, fan_out=match()) for n, one in enumerate(staying[2:]))))
        for _ in range(5):
            await publish(store)
        assert [(await store.upkeep.purge(LATER, 2)).number for _ in range(4)] == [2, 2, 1, 0]
        assert set(await kept(store)) == {one.id for one in staying}

    async def test_an_event_with_very_many_deliveries_is_purged_whole(self, store: Store) -> None:
        await publish(store, *(f"sub_{n}" for n in range(2_500)))
        claims = await claim(store, *(f"sub_{n}" for n in range(2_500)), limit=1)
        await store.queue.finish([result(one, Status.DELIVERED) for one in claims])
        await publish(store)
        first = await store.upkeep.purge(LATER, 100)
        assert first.more
        left = sum(sum(of.values()) for of in (await store.archive.counts(TENANT, DeliveryQuery())).values())
        assert 2_400 <= left < 2_500, "one call removes at most as many rows as it was asked to"
        assert first.number + await purged(store, 500) == 2
        assert await store.archive.counts(TENANT, DeliveryQuery()) == {}
        assert await kept(store) == []

    async def test_a_source_id_that_was_purged_is_new_again(self, store: Store) -> None:
        await publish(store, source_id="a-1")
        await purged(store)
        await publish(store, source_id="a-1")

    async def test_expired_idempotency_records_go_and_others_stay(self, store: Store, clock: ManualClock) -> None:
        for n in range(5):
            await store.intake.accept(batch(entry(event()), idempotency=idempotency(str(n), seconds=n + 1)))
        clock.advance(3)
        assert [(await store.upkeep.purge_expired(2)).number for _ in range(3)] == [2, 1, 0]
        assert await store.intake.recall(TENANT, idempotency("3")) is not None

    async def test_finished_tasks_older_than_a_week_go(self, store: Store, clock: ManualClock) -> None:
        done, running = task(status=TaskStatus.COMPLETED), task(status=TaskStatus.RUNNING)
        for one in (done, running):
            await store.tasks.save(one)
        clock.advance(7 * 86_400)
        assert (await store.upkeep.purge_expired(100)).number == 0
        clock.advance(0.001)
        assert (await store.upkeep.purge_expired(100)).number == 1
        assert (await store.tasks.tasks(TENANT, Page())).items == (running,)

    async def test_the_feed_is_trimmed_by_age(self, store: Store, clock: ManualClock) -> None:
        for _ in range(3):
            await publish(store)
        clock.advance(60)
        young = await publish(store)
        assert [(await store.upkeep.trim_feed(clock.now(), 100, 2)).number for _ in range(3)] == [2, 1, 0]
        assert [row.entry.event_id for row in await store.feed.read(0, 10)] == [young.id]

    async def test_the_feed_is_trimmed_to_the_newest(self, store: Store) -> None:
        for _ in range(5):
            await publish(store)
        newest = [row.id for row in await store.feed.read(0, 10)][-2:]
        assert (await store.upkeep.trim_feed(START - timedelta(days=1), 2, 100)).number == 3
        assert (await store.upkeep.trim_feed(START - timedelta(days=1), 2, 100)).number == 0
        assert [row.id for row in await store.feed.read(0, 10)] == newest

    async def test_the_backlog_is_counted_by_channel_with_what_is_held_apart(
        self, store: Store, clock: ManualClock
    ) -> None:
        lanes = {"sub_1": "webhook", "sub_2": "webhook", "sub_3": "slack", "sub_4": "email"}
        await publish(store, "sub_1", accepted_at=START)
        for minute in (1, 2):
            await publish(store, "sub_2", accepted_at=START + timedelta(minutes=minute))
        await publish(store, "sub_3", channel="slack", accepted_at=LATER)
        await publish(store, "sub_5", tenant=OTHER)
        clock.advance(7_200)
        first, *_ = await claim(store, "sub_2", limit=1)
        await store.queue.finish([result(first, Status.DEAD, Outcome.FAILED)])
        flowing = await store.upkeep.backlog(TENANT, lanes, ())
        assert flowing == {"webhook": Backlog(2, 0, 1, START), "slack": Backlog(1, 0, 0, LATER)}
        held = await store.upkeep.backlog(TENANT, lanes, {"sub_1", "sub_3", "sub_4"})
        assert held == {
            "webhook": Backlog(1, 1, 1, START + timedelta(minutes=2)),
            "slack": Backlog(0, 1, 0, None),
        }
        assert await store.upkeep.backlog("ten_c", {}, ()) == {}

    async def test_a_healthy_store_has_nothing_to_say(self, store: Store) -> None:
        assert list(await store.upkeep.check()) == []
