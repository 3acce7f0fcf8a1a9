"""The result of a claim is written once: the next state, the attempt and the feed entries in one commit."""

import asyncio
import dataclasses
from datetime import timedelta

from hub.models import FeedEntry, FeedKind, Outcome, Record, Status
from hub.stores.base import Claim, DeliveryQuery, Effect, Page, Result, Store, WriteOutcome
from hub.testing.clock import START, ManualClock
from hub.testing.stores.lanes import LANE
from hub.testing.stores.samples import TENANT, claim, publish, result
from hub.testing.stores.suite import StoreSuite


def record(doc: bytes) -> Record:
    return Record("subscription", TENANT, LANE, doc)


def affecting(claimed: Claim, doc: bytes, version: int) -> Result:
    """The result of a claim, with an effect on the record of this version."""
    shown = FeedEntry(TENANT, FeedKind.SUBSCRIPTION_DISABLED, b"{}", subscription_id=LANE)
    effect = Effect(record(doc), version, (shown,))
    return dataclasses.replace(result(claimed, Status.DEAD, Outcome.FAILED), effects=(effect,))


class ResultsConformance(StoreSuite):
    """The port `Queue`: results and fencing tokens."""

    async def test_where_the_present_schedule_began_and_how_far_it_is_used_up_is_kept(self, store: Store) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store)
        ended = result(claimed, Status.DEAD, Outcome.FAILED)
        based = dataclasses.replace(
            ended, delivery=ended.delivery.model_copy(update={"schedule_base": 1, "steps_spared": 0.3})
        )
        assert await store.queue.finish([based]) == [WriteOutcome.RECORDED]
        kept = await store.archive.delivery(TENANT, claimed.delivery.id)
        assert kept is not None
        assert (kept.schedule_base, kept.steps_spared) == (1, 0.3)

    async def test_what_a_channel_has_done_so_far_is_kept_with_the_attempt(self, store: Store) -> None:
        await publish(store, LANE)
        (first,) = await claim(store)
        assert first.delivery.checkpoint is None
        failed = result(first, Status.PENDING, Outcome.FAILED, next_attempt_at=START, checkpoint='["ännchen"]')
        assert await store.queue.finish([failed]) == [WriteOutcome.RECORDED]
        (second,) = await claim(store)
        assert second.delivery.checkpoint == '["ännchen"]'
        assert await store.queue.finish([result(second, Status.DELIVERED, checkpoint=None)]) == [WriteOutcome.RECORDED]
        kept = await store.archive.delivery(TENANT, first.delivery.id)
        assert kept is not None
        assert kept.checkpoint is None

    async def test_finishing_writes_the_next_state_the_attempt_and_the_feed_entries(
        self, store: Store, clock: ManualClock
    ) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store)
        failed = result(
            claimed, Status.PENDING, Outcome.FAILED, next_attempt_at=START + timedelta(seconds=5), reason="HTTP 500"
        )
        assert await store.queue.finish([failed]) == [WriteOutcome.RECORDED]
        waiting = await store.archive.delivery(TENANT, claimed.delivery.id)
        assert waiting is not None
        assert (waiting.status, waiting.reason, waiting.attempt_count) == (Status.PENDING, "HTTP 500", 1)
        assert waiting.next_attempt_at == START + timedelta(seconds=5)
        assert waiting.token > claimed.delivery.token
        clock.advance(5)
        (second,) = await claim(store)
        assert second.delivery.attempt_count == 2
        assert second.delivery.token > waiting.token
        assert await store.queue.finish([result(second, Status.DELIVERED)]) == [WriteOutcome.RECORDED]
        assert await store.archive.attempts(TENANT, claimed.delivery.id) == [
            failed.attempt,
            result(second, Status.DELIVERED).attempt,
        ]
        kinds = [row.entry.kind.value for row in await store.feed.read(0, 10)]
        assert kinds == ["event.accepted", "delivery.attempted", "delivery.attempted"]
        assert await store.queue.due() == {}

    async def test_a_result_with_an_old_token_changes_nothing(self, store: Store, clock: ManualClock) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store)
        clock.advance(31)
        (taken,) = await store.queue.reclaim(10)
        entries = len(await store.feed.read(0, 10))
        assert await store.queue.finish([result(claimed, Status.DELIVERED)]) == [WriteOutcome.FENCED]
        assert await store.archive.delivery(TENANT, claimed.delivery.id) == taken.delivery
        assert await store.archive.attempts(TENANT, claimed.delivery.id) == []
        assert len(await store.feed.read(0, 10)) == entries
        assert await store.queue.finish([result(taken, Status.DELIVERED, Outcome.UNKNOWN)]) == [WriteOutcome.RECORDED]

    async def test_of_two_results_for_one_claim_the_first_counts_even_in_one_call(self, store: Store) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store)
        first, second = result(claimed, Status.DELIVERED), result(claimed, Status.DEAD, Outcome.FAILED)
        assert await store.queue.finish([first, second]) == [WriteOutcome.RECORDED, WriteOutcome.FENCED]
        delivery = await store.archive.delivery(TENANT, claimed.delivery.id)
        assert delivery is not None
        assert delivery.status is Status.DELIVERED

    async def test_of_fifty_parallel_results_for_one_claim_one_counts(self, store: Store) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store)
        written = await asyncio.gather(*(store.queue.finish([result(claimed, Status.DELIVERED)]) for _ in range(50)))
        assert [one for (one,) in written].count(WriteOutcome.RECORDED) == 1
        assert len(await store.feed.read(0, 100)) == 2

    async def test_a_result_for_an_unknown_delivery_is_fenced_and_its_neighbours_count(self, store: Store) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store)
        unknown = result(claimed, Status.DELIVERED, id="dlv_unknown")
        assert await store.queue.finish([unknown, result(claimed, Status.DELIVERED)]) == [
            WriteOutcome.FENCED,
            WriteOutcome.RECORDED,
        ]
        assert await store.queue.finish([]) == []

    async def test_any_write_bumps_the_token(self, store: Store) -> None:
        await publish(store, LANE)
        (pending,) = (await store.archive.deliveries(TENANT, DeliveryQuery(), Page())).items
        (claimed,) = await claim(store)
        cancelling = dataclasses.replace(
            result(claimed, Status.CANCELLED),
            delivery=pending.model_copy(update={"status": Status.CANCELLED}),
            attempt=None,
        )
        assert await store.queue.finish([cancelling]) == [WriteOutcome.FENCED]

    async def test_a_delivery_of_a_cancelled_event_may_end_but_not_wait(self, store: Store) -> None:
        new = await publish(store, "sub_1", "sub_2")
        waiting, ending = await claim(store, "sub_1", "sub_2")
        assert await store.intake.cancel(TENANT, new.id, START)
        again = result(waiting, Status.PENDING, Outcome.FAILED, next_attempt_at=START)
        assert await store.queue.finish([again, result(ending, Status.DELIVERED)]) == [
            WriteOutcome.EVENT_CANCELLED,
            WriteOutcome.RECORDED,
        ]
        assert await store.archive.attempts(TENANT, waiting.delivery.id) == []
        assert await store.queue.finish([result(waiting, Status.CANCELLED, Outcome.FAILED)]) == [WriteOutcome.RECORDED]

    async def test_an_effect_on_the_catalogue_is_written_with_the_result(self, store: Store) -> None:
        version = await store.records.write([record(b"1")])
        await publish(store, LANE, catalogue_version=version)
        (claimed,) = await claim(store)
        assert await store.queue.finish([affecting(claimed, b"2", version)]) == [WriteOutcome.RECORDED]
        changed, now = await store.records.changes(version)
        assert ([one.doc for one in changed], now) == ([b"2"], version + 1)
        rows = await store.feed.read(0, 10)
        assert [row.entry.kind.value for row in rows][1:] == ["delivery.attempted", "subscription.disabled"]

    async def test_nothing_is_written_where_an_effect_is_on_a_record_that_has_changed(self, store: Store) -> None:
        first = await store.records.write([record(b"1")])
        second = await store.records.write([record(b"2")])
        await publish(store, LANE, catalogue_version=second)
        (claimed,) = await claim(store)
        assert await store.queue.finish([affecting(claimed, b"3", first)]) == [WriteOutcome.STALE]
        assert await store.records.changes(second) == ([], second)
        assert await store.archive.attempts(TENANT, claimed.delivery.id) == []
        assert len(await store.feed.read(0, 10)) == 1
        assert await store.queue.finish([affecting(claimed, b"3", second)]) == [WriteOutcome.RECORDED]

    async def test_of_two_effects_on_one_record_the_first_counts_even_in_one_call(self, store: Store) -> None:
        version = await store.records.write([record(b"1")])
        await publish(store, LANE, catalogue_version=version)
        await publish(store, LANE, catalogue_version=version)
        one, other = await claim(store)
        given = [affecting(one, b"2", version), affecting(other, b"3", version)]
        assert await store.queue.finish(given) == [WriteOutcome.RECORDED, WriteOutcome.STALE]
        ((written,), _) = await store.records.changes(version)
        assert written.doc == b"2"

    async def test_the_effect_of_a_fenced_result_is_not_written(self, store: Store) -> None:
        version = await store.records.write([record(b"1")])
        await publish(store, LANE, catalogue_version=version)
        (claimed,) = await claim(store)
        await store.queue.reclaim(10, all_owners=True)
        assert await store.queue.finish([affecting(claimed, b"2", version)]) == [WriteOutcome.FENCED]
        assert await store.records.changes(version) == ([], version)

    async def test_an_attempt_is_replaced_by_number(self, store: Store, clock: ManualClock) -> None:
        await publish(store, LANE)
        (claimed,) = await claim(store)
        unknown = result(claimed, Status.PENDING, Outcome.UNKNOWN, next_attempt_at=START, attempt_count=1)
        await store.queue.finish([unknown])
        (again,) = await claim(store)
        known = result(again, Status.DELIVERED, attempt_count=1)
        await store.queue.finish([known])
        assert await store.archive.attempts(TENANT, claimed.delivery.id) == [known.attempt]
