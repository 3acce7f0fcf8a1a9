"""A store that everything was copied into continues where the other one stopped."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
import pytest_asyncio

from hub.errors import Invalid
from hub.models import Cause, Event, Outcome, Status, TaskStatus
from hub.stores.base import (
    DeliveryQuery,
    EventQuery,
    NewDelivery,
    Page,
    Result,
    Store,
)
from hub.testing.clock import START, ManualClock
from hub.testing.stores.copying import CopyingSuite, Files, everything, move, of_event, record
from hub.testing.stores.samples import OTHER, TENANT, batch, claim, entry, event, idempotency, publish, result
from hub.testing.stores.suite import OpenStore


class CopiedStoreConformance(CopyingSuite):
    """All ports, after a copy."""

    @pytest_asyncio.fixture(loop_scope="function")
    async def moved(self, opened: OpenStore, files: Files, origin: Mapping[str, Event]) -> Store:
        """The store with everything that the first file holds, opened again as a hub would open it."""
        await move(files[0].transfer, (await opened.open()).transfer)
        return await opened.reopen()

    async def test_what_is_due_is_sent_in_order_and_what_is_not_at_its_time(
        self, moved: Store, origin: Mapping[str, Event], clock: ManualClock
    ) -> None:
        (pending,) = await claim(moved, "sub_pending")
        assert pending.event == origin["pending"]
        assert (pending.delivery.attempt_count, pending.delivery.token) == (1, 1)
        assert await moved.queue.due() == {
            "sub_retry": START + timedelta(minutes=5),
            "sub_later": START + timedelta(hours=2),
            "sub_cancelled": START,
            "sub_fan": START,
        }
        assert await claim(moved, "sub_retry") == ()
        clock.advance(5 * 60)
        (again,) = await claim(moved, "sub_retry")
        assert (again.cause, again.delivery.attempt_count) == (Cause.REPLAY, 2)
        assert (again.delivery.schedule_base, again.delivery.steps_spared) == (1, 0.25)
        assert await moved.queue.finish([result(again, Status.DELIVERED)]) == ["recorded"]
        assert [one.number for one in await moved.archive.attempts(TENANT, again.delivery.id)] == [1, 2]

    async def test_what_is_overdue_is_claimed_in_the_order_in_which_it_was_due(
        self, opened: OpenStore, files: Files, clock: ManualClock
    ) -> None:
        first, _ = files
        published = [await publish(first, "sub_1", deliver_at=START + timedelta(seconds=9 - n)) for n in range(5)]
        await move(first.transfer, (await opened.open()).transfer)
        clock.advance(60)
        claims = await claim(await opened.reopen(), "sub_1")
        assert [one.event.id for one in claims] == [one.id for one in reversed(published)]

    async def test_what_was_being_sent_is_taken_over_at_once_and_its_old_token_is_fenced(
        self, moved: Store, files: Files, origin: Mapping[str, Event]
    ) -> None:
        (former,) = await of_event(files[0], origin["sending"])
        assert former.status is Status.SENDING
        (taken,) = await moved.queue.reclaim(10)
        assert taken.event == origin["sending"]
        assert (taken.delivery.attempt_count, taken.delivery.token) == (1, former.token + 1)
        assert await moved.queue.finish([Result(former)]) == ["fenced"]
        assert await moved.queue.finish([result(taken, Status.PENDING, Outcome.UNKNOWN)]) == ["recorded"]
        assert len(await claim(moved, "sub_sending")) == 1

    async def test_the_catalogue_and_its_version_go_on(
        self, moved: Store, files: Files, origin: Mapping[str, Event]
    ) -> None:
        assert await moved.records.changes(0) == await files[0].records.changes(0)
        assert await moved.records.changes(1) == await files[0].records.changes(1)
        version = (await moved.records.changes(0))[1]
        assert await moved.records.write([record("sub_1", b"2")], expected=version) > version

    async def test_idempotency_keys_answer_as_before(
        self, moved: Store, files: Files, origin: Mapping[str, Event], clock: ManualClock
    ) -> None:
        known = idempotency("one", "print")
        answer = await moved.intake.recall(TENANT, known)
        assert answer == await files[0].intake.recall(TENANT, known)
        assert answer is not None
        assert [(one.status, one.id) for one in answer.verdicts] == [
            ("duplicate", origin["retried"].id),
            ("rejected", None),
        ]
        with pytest.raises(Invalid):
            await moved.intake.recall(TENANT, idempotency("one", "another print"))
        clock.advance(86_400)
        assert await moved.intake.recall(TENANT, known) is None
        assert (await moved.upkeep.purge_expired(10)).number == 1

    async def test_an_event_that_was_published_before_is_still_a_duplicate(
        self, moved: Store, origin: Mapping[str, Event]
    ) -> None:
        version = (await moved.records.changes(0))[1]
        again = batch(entry(event(source="/shop", source_id="s-1"), ["sub_1"]), catalogue_version=version)
        (verdict,) = (await moved.intake.accept(again)).verdicts
        assert (verdict.status, verdict.id) == ("duplicate", origin["retried"].id)

    async def test_the_feed_goes_on_under_the_ids_that_it_had(
        self, moved: Store, files: Files, origin: Mapping[str, Event]
    ) -> None:
        trimmed, last = await moved.feed.bounds()
        assert (trimmed, last) == await files[0].feed.bounds()
        assert trimmed == 5
        rows = await moved.feed.read(0, 100)
        assert rows == await files[0].feed.read(0, 100)
        assert [row.id for row in rows] == list(range(trimmed + 1, last + 1))
        version = (await moved.records.changes(0))[1]
        await moved.intake.accept(batch(entry(event()), catalogue_version=version))
        assert [row.id for row in await moved.feed.read(last, 100)] == [last + 1]

    async def test_lists_counts_and_numbers_are_what_they_were(
        self, moved: Store, files: Files, origin: Mapping[str, Event]
    ) -> None:
        ours, theirs = moved.archive, files[0].archive
        every, page = DeliveryQuery(), Page(200)
        for tenant in (TENANT, OTHER):
            events = await theirs.events(tenant, EventQuery(), page)
            assert {e.id: e for e in (await ours.events(tenant, EventQuery(), page)).items} == {
                e.id: e for e in events.items
            }
            deliveries = await theirs.deliveries(tenant, every, page)
            assert {d.id: d for d in (await ours.deliveries(tenant, every, page)).items} == {
                d.id: d for d in deliveries.items
            }
            for delivery in deliveries.items:
                assert await ours.attempts(tenant, delivery.id) == await theirs.attempts(tenant, delivery.id)
            assert await ours.counts(tenant, every) == await theirs.counts(tenant, every)
            assert await ours.stats(tenant, START, None) == await theirs.stats(tenant, START, None)
        assert (await ours.events(TENANT, EventQuery(subject="o-1"), page)).items == (origin["retried"],)

    async def test_closed_events_are_purged_in_time_and_open_ones_are_kept(
        self, moved: Store, files: Files, origin: Mapping[str, Event]
    ) -> None:
        later = START + timedelta(days=1)
        removed = await files[0].upkeep.purge(later, 100)
        assert (await moved.upkeep.purge(later, 100)).number == removed.number == 4
        assert await everything(moved.transfer) == await everything(files[0].transfer)

    async def test_a_fan_out_goes_on_where_it_was(self, moved: Store, origin: Mapping[str, Event]) -> None:
        (fan_out,) = await moved.intake.fan_outs(10)
        assert (fan_out.event, fan_out.after) == (origin["fans_out"], "sub_fan")
        assert await moved.intake.expand(fan_out, [NewDelivery("dlv_rest", "sub_rest", "webhook")], None)
        assert len(await of_event(moved, origin["fans_out"])) == 2
        assert await moved.intake.fan_outs(10) == []
        assert len(await claim(moved, "sub_fan", "sub_rest")) == 2

    async def test_a_fan_out_is_for_those_that_it_was_for(self, moved: Store) -> None:
        (fan_out,) = await moved.intake.fan_outs(10)
        assert fan_out.match is not None
        match = await moved.intake.match(fan_out.match)
        assert match is not None
        assert match.recipients == (("sub_fan", "webhook"), ("sub_rest", "slack"))

    async def test_changes_of_events_go_on_where_they_were(self, moved: Store, files: Files) -> None:
        changes = await moved.changes.unfinished(10)
        assert list(changes) == list(await files[0].changes.unfinished(10))
        assert [change.kind for change in changes] == ["cancel"]

    async def test_a_cancelled_event_stays_so(self, moved: Store, origin: Mapping[str, Event]) -> None:
        assert not await moved.intake.cancel(TENANT, origin["cancelled"].id, START)
        (claimed,) = await claim(moved, "sub_cancelled")
        assert claimed.event.cancelled_at == START
        assert await moved.queue.finish([result(claimed, Status.PENDING)]) == ["event_cancelled"]

    async def test_tasks_stay_as_they_are_with_their_owners(self, moved: Store, files: Files) -> None:
        page = Page()
        tasks = await moved.tasks.tasks(TENANT, page)
        assert {one.id: one for one in tasks.items} == {
            one.id: one for one in (await files[0].tasks.tasks(TENANT, page)).items
        }
        (running,) = await moved.tasks.unfinished(10)
        assert (running.id, running.owner) == ("tsk_running", "process-2")
        (ended,) = [one for one in tasks.items if one.status is TaskStatus.COMPLETED]
        assert not await moved.tasks.save(ended.model_copy(update={"status": TaskStatus.FAILED}))
