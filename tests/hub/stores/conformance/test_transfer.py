"""Moving everything into another store: from a file into the store, and from the store into another file.

Who reads the two files side by side sees whether the store gives what it was given.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from hub.errors import Invalid
from hub.models import Cause, Delivery, Event, Outcome, Record, Status, TaskStatus
from hub.stores import open_store
from hub.stores.base import (
    Batch,
    CopyState,
    DeliveryQuery,
    EventQuery,
    FanOut,
    Idempotency,
    ItemResult,
    NewDelivery,
    Page,
    Result,
    Section,
    Store,
    Transfer,
)
from hub.stores.stored import StoredEvent
from tests.clock import START, ManualClock
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import OTHER, TENANT, batch, claim, entry, event, idempotency, publish, result, task

Everything = dict[Section, list[dict[str, Any]]]


@pytest.fixture
async def files(tmp_path: Path, clock: ManualClock) -> AsyncIterator[tuple[Store, Store]]:
    """Two empty stores of the embedded kind."""
    async with AsyncExitStack() as stack:
        first, second = (f"sqlite:///{tmp_path / name}" for name in ("first.db", "second.db"))
        yield (
            await stack.enter_async_context(open_store(first, clock)),
            await stack.enter_async_context(open_store(second, clock)),
        )


PIECEMEAL = [section for section in Section if section is not Section.COUNTERS]
"""The sections that are written piece by piece; the counters are written when a copy begins."""


async def begun(source: Transfer, destination: Transfer) -> CopyState:
    """The state of a copy, which is begun where it was not."""
    if (state := await destination.state()) is None:
        counters = await source.read(Section.COUNTERS, "", 1)
        await destination.begin("what the source is like", counters.documents)
        state = await destination.state()
    assert state is not None
    return state


async def move(source: Transfer, destination: Transfer, *, limit: int = 100) -> None:
    """Everything, from where the destination has got to."""
    state = await begun(source, destination)
    for section in PIECEMEAL:
        after = state.reached.get(section, "")
        while (piece := await source.read(section, after, limit)).documents:
            await destination.write(section, piece)
            after = piece.after


async def everything(transfer: Transfer, *, limit: int = 100) -> Everything:
    """All documents; what has no order of its own is put in one."""
    found: Everything = {}
    for section in Section:
        documents: list[dict[str, Any]] = []
        after = ""
        while (piece := await transfer.read(section, after, limit)).documents:
            assert len(piece.documents) <= limit
            documents += map(orjson.loads, piece.documents)
            after = piece.after
        found[section] = whole(documents) if section is Section.EVENTS else sorted(documents, key=str)
    return found


def whole(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events put together of the documents over which they went on."""
    events: dict[str, dict[str, Any]] = {}
    for document in documents:
        id_ = msgspec.convert(document["event"], StoredEvent).id
        deliveries = document.pop("deliveries", [])
        if not document.pop("goes_on", False):
            assert id_ not in events
            events[id_] = {**document, "deliveries": []}
        events[id_]["deliveries"] += deliveries
    for one in events.values():
        one["deliveries"].sort(key=lambda delivery: delivery["id"])
    return [events[id_] for id_ in sorted(events)]


async def fill(store: Store, clock: ManualClock) -> Mapping[str, Event]:
    """One thing, at least, of every kind and in every state."""
    made = {
        "delivered": await publish(store, "sub_1", "sub_2"),
        "retried": await publish(store, "sub_retry", subject="o-1", source_id="s-1"),
        "dead": await publish(store, "sub_dead", channel="email", type="user.registered"),
        "sending": await publish(store, "sub_sending"),
        "later": await publish(store, "sub_later", deliver_at=START + timedelta(hours=2)),
        "pending": await publish(store, "sub_pending", data=b'{"amount": 1.10, "a": "\\u00e9\xc3\xa9"}'),
        "nobody": await publish(store, tenant=OTHER, extensions={"dataschema": "urn:x", "n": 3, "b": True}),
        "big": await publish(store, data=b'"' + b"x" * 1_200_000 + b'"', content_type="application/json"),
        "cancelled": await publish(store, "sub_cancelled", traceparent="00-a-b-01", ordering_key="k"),
    }
    fans_out = event(expires_at=START + timedelta(days=1), data_base64=True, data=b'"aGk="')
    await store.intake.accept(batch(entry(fans_out, fan_out=True)))
    fan_out = FanOut(fans_out, "")
    assert await store.intake.expand(fan_out, [NewDelivery("dlv_fan", "sub_fan", "webhook")], "sub_fan")
    assert await store.intake.cancel(TENANT, made["cancelled"].id, START)
    for lane in ("sub_1", "sub_2", "sub_retry"):
        (claimed,) = await claim(store, lane)
        await store.queue.finish([result(claimed, Status.DELIVERED)])
    await replay(store, made["retried"], START + timedelta(minutes=5))
    for n in range(3):
        (claimed,) = await claim(store, "sub_dead")
        again = result(claimed, Status.PENDING, Outcome.FAILED) if n < 2 else None
        await store.queue.finish([again or result(claimed, Status.DEAD, Outcome.FAILED, reason="gave up: 500")])
    await claim(store, "sub_sending")
    await store.records.write([record("sub_1", b'{"a": 1.10}'), record("sub_2"), record("key", tenant=OTHER)])
    await store.records.write([record("sub_2", None)])
    clock.advance(1)
    rejected = (ItemResult(1, "rejected", None, {"status": 422, "detail": "no"}),)
    kept = event(source="/shop", source_id="s-1")
    version = (await store.records.changes(0))[1]
    await store.intake.accept(
        Batch(TENANT, (entry(kept),), rejected, idempotency("one", "print"), catalogue_version=version)
    )
    await store.tasks.save(task(status=TaskStatus.COMPLETED, result={"rows": 3}, progress=100, owner="process-1"))
    await store.tasks.save(task(id="tsk_running", status=TaskStatus.RUNNING, owner="process-2"))
    await store.upkeep.trim_feed(START, 8, 5)
    return {**made, "fans_out": fans_out}


async def replay(store: Store, replayed: Event, at: datetime) -> None:
    """Let what was delivered be sent again at an instant."""
    (delivery,) = await of_event(store, replayed)
    again = {"status": Status.PENDING, "next_attempt_at": at, "schedule_base": delivery.attempt_count}
    await store.queue.finish([Result(delivery.model_copy(update=again), cause=Cause.REPLAY)])


def record(id_: str, doc: bytes | None = b"{}", *, tenant: str = TENANT) -> Record:
    return Record("subscription", tenant, id_, doc)


async def of_event(store: Store, one: Event) -> tuple[Delivery, ...]:
    return (await store.archive.deliveries(one.tenant, DeliveryQuery(event_id=one.id), Page(200))).items


@pytest.fixture
async def origin(files: tuple[Store, Store], clock: ManualClock) -> Mapping[str, Event]:
    """What the first file is filled with."""
    return await fill(files[0], clock)


@pytest.fixture
async def moved(opened: OpenStore, files: tuple[Store, Store], origin: Mapping[str, Event]) -> Store:
    """The store with all that the first file holds, opened anew as a hub would open it."""
    await move(files[0].transfer, (await opened.open()).transfer)
    return await opened.reopen()


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_all_of_it_is_in_the_store_and_comes_out_again_as_it_was(
    store: Store, files: tuple[Store, Store], origin: Mapping[str, Event], limit: int
) -> None:
    first, second = files
    await move(first.transfer, store.transfer, limit=limit)
    given = await everything(first.transfer)
    assert await everything(store.transfer, limit=limit) == given
    assert await store.transfer.totals() == await first.transfer.totals()
    await move(store.transfer, second.transfer, limit=limit)
    assert await everything(second.transfer) == given
    assert await second.transfer.totals() == await first.transfer.totals()


async def test_the_totals_count_what_there_is(store: Store, files: tuple[Store, Store], clock: ManualClock) -> None:
    nothing = dict.fromkeys([*Section, "deliveries", "attempts"], 0)
    del nothing[Section.COUNTERS]
    assert await store.transfer.totals() == nothing
    await fill(store, clock)
    first, _ = files
    await fill(first, clock)
    totals = await store.transfer.totals()
    assert totals == await first.transfer.totals()
    assert (totals["events"], totals["deliveries"], totals["attempts"]) == (10, 9, 6)


async def test_a_piece_that_is_written_twice_is_there_once(
    store: Store, files: tuple[Store, Store], origin: Mapping[str, Event]
) -> None:
    first, _ = files
    await begun(first.transfer, store.transfer)
    await begun(first.transfer, store.transfer)
    for section in PIECEMEAL:
        after = ""
        while (piece := await first.transfer.read(section, after, 4)).documents:
            await store.transfer.write(section, piece)
            await store.transfer.write(section, piece)
            after = piece.after
    assert await everything(store.transfer) == await everything(first.transfer)
    assert await store.transfer.totals() == await first.transfer.totals()


async def test_what_was_reached_is_remembered_with_each_piece_and_goes_on_from_there(
    opened: OpenStore, files: tuple[Store, Store], origin: Mapping[str, Event]
) -> None:
    first, _ = files
    store = await opened.open()
    assert await store.transfer.state() is None
    for section in PIECEMEAL:
        for number in range(100):
            reached = (await begun(first.transfer, store.transfer)).reached
            piece = await first.transfer.read(section, reached.get(section, ""), 2)
            if not piece.documents:
                break
            await store.transfer.write(section, piece)
            expected = CopyState("what the source is like", {**reached, section: piece.after}, complete=False)
            assert await store.transfer.state() == expected
            if number % 2:
                store = await opened.reopen()
    await store.transfer.complete()
    store = await opened.reopen()
    state = await store.transfer.state()
    assert state is not None
    assert (state.source_mark, state.complete) == ("what the source is like", True)
    assert await everything(store.transfer) == await everything(first.transfer)


async def test_the_counts_of_pieces_come_to_the_total(
    store: Store, files: tuple[Store, Store], origin: Mapping[str, Event]
) -> None:
    await move(files[0].transfer, store.transfer)
    totals = await store.transfer.totals()
    for section in totals.keys() & set(Section):
        after, count = "", 0
        while (piece := await store.transfer.read(Section(section), after, 2)).documents:
            after, count = piece.after, count + piece.count
        assert (section, count) == (section, totals[section])


async def test_an_event_with_very_many_deliveries_goes_on_over_several_pieces(
    opened: OpenStore, files: tuple[Store, Store], clock: ManualClock
) -> None:
    first, second = files
    await publish(first)
    lanes = [f"sub_{n:04}" for n in range(2_300)]
    big = await publish(first, *lanes)
    await publish(first)
    await first.queue.finish([result(one, Status.DELIVERED) for one in await claim(first, *lanes[:2_000])])
    store = await opened.open()
    await move(first.transfer, store.transfer)
    assert (await store.transfer.totals())["deliveries"] == len(lanes)
    given = await everything(first.transfer)
    assert await everything(store.transfer) == given
    await move(store.transfer, second.transfer)
    assert await everything(second.transfer) == given
    store = await opened.reopen()
    assert await store.upkeep.purge(START + timedelta(days=1), 10) == 2
    assert await store.archive.event(TENANT, big.id) == big
    assert len(await claim(store, *lanes)) == 300


async def test_what_is_due_is_sent_in_order_and_what_is_not_at_its_time(
    moved: Store, origin: Mapping[str, Event], clock: ManualClock
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
    assert (again.cause, again.delivery.attempt_count, again.delivery.schedule_base) == (Cause.REPLAY, 2, 1)
    assert await moved.queue.finish([result(again, Status.DELIVERED)]) == ["recorded"]
    assert [one.number for one in await moved.archive.attempts(TENANT, again.delivery.id)] == [1, 2]


async def test_what_is_overdue_is_claimed_in_the_order_in_which_it_was_due(
    opened: OpenStore, files: tuple[Store, Store], clock: ManualClock
) -> None:
    first, _ = files
    published = [await publish(first, "sub_1", deliver_at=START + timedelta(seconds=9 - n)) for n in range(5)]
    await move(first.transfer, (await opened.open()).transfer)
    clock.advance(60)
    claims = await claim(await opened.reopen(), "sub_1")
    assert [one.event.id for one in claims] == [one.id for one in reversed(published)]


async def test_what_was_being_sent_is_taken_over_at_once_and_its_old_token_is_fenced(
    moved: Store, files: tuple[Store, Store], origin: Mapping[str, Event]
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
    moved: Store, files: tuple[Store, Store], origin: Mapping[str, Event]
) -> None:
    assert await moved.records.changes(0) == await files[0].records.changes(0)
    assert await moved.records.changes(1) == await files[0].records.changes(1)
    version = (await moved.records.changes(0))[1]
    assert await moved.records.write([record("sub_1", b"2")], expected=version) > version


async def test_idempotency_keys_answer_as_before(
    moved: Store, files: tuple[Store, Store], origin: Mapping[str, Event], clock: ManualClock
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
        await moved.intake.recall(TENANT, Idempotency("one", "another print", START))
    clock.advance(86_400)
    assert await moved.intake.recall(TENANT, known) is None
    assert await moved.upkeep.purge_expired(10) == 1


async def test_an_event_that_was_published_before_is_still_a_duplicate(
    moved: Store, origin: Mapping[str, Event]
) -> None:
    version = (await moved.records.changes(0))[1]
    again = batch(entry(event(source="/shop", source_id="s-1"), ["sub_1"]), catalogue_version=version)
    (verdict,) = (await moved.intake.accept(again)).verdicts
    assert (verdict.status, verdict.id) == ("duplicate", origin["retried"].id)


async def test_the_feed_goes_on_under_the_ids_that_it_had(
    moved: Store, files: tuple[Store, Store], origin: Mapping[str, Event]
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


async def test_a_feed_that_was_trimmed_whole_gives_no_id_again(
    opened: OpenStore, files: tuple[Store, Store], clock: ManualClock
) -> None:
    first, second = files
    await publish(first)
    await publish(first)
    assert await first.upkeep.trim_feed(START + timedelta(days=1), 10, 10) == 2
    store = await opened.open()
    await move(first.transfer, store.transfer)
    assert await store.feed.bounds() == (2, 2)
    await move(store.transfer, second.transfer)
    assert await second.feed.bounds() == (2, 2)
    store = await opened.reopen()
    await publish(store)
    assert [row.id for row in await store.feed.read(0, 10)] == [3]


async def test_lists_counts_and_numbers_are_what_they_were(
    moved: Store, files: tuple[Store, Store], origin: Mapping[str, Event]
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
    moved: Store, files: tuple[Store, Store], origin: Mapping[str, Event]
) -> None:
    later = START + timedelta(days=1)
    removed = await files[0].upkeep.purge(later, 100)
    assert await moved.upkeep.purge(later, 100) == removed == 4
    assert await everything(moved.transfer) == await everything(files[0].transfer)


async def test_a_fan_out_goes_on_where_it_was(moved: Store, origin: Mapping[str, Event]) -> None:
    (fan_out,) = await moved.intake.fan_outs(10)
    assert (fan_out.event, fan_out.after) == (origin["fans_out"], "sub_fan")
    assert await moved.intake.expand(fan_out, [NewDelivery("dlv_rest", "sub_rest", "webhook")], None)
    assert len(await of_event(moved, origin["fans_out"])) == 2
    assert await moved.intake.fan_outs(10) == []
    assert len(await claim(moved, "sub_fan", "sub_rest")) == 2


async def test_a_cancelled_event_stays_so(moved: Store, origin: Mapping[str, Event]) -> None:
    assert not await moved.intake.cancel(TENANT, origin["cancelled"].id, START)
    (claimed,) = await claim(moved, "sub_cancelled")
    assert claimed.event.cancelled_at == START
    assert await moved.queue.finish([result(claimed, Status.PENDING)]) == ["event_cancelled"]


async def test_tasks_stay_what_they_are_with_whoever_does_them(moved: Store, files: tuple[Store, Store]) -> None:
    page = Page()
    tasks = await moved.tasks.tasks(TENANT, page)
    assert {one.id: one for one in tasks.items} == {
        one.id: one for one in (await files[0].tasks.tasks(TENANT, page)).items
    }
    (running,) = await moved.tasks.unfinished(10)
    assert (running.id, running.owner) == ("tsk_running", "process-2")
    (ended,) = [one for one in tasks.items if one.status is TaskStatus.COMPLETED]
    assert not await moved.tasks.save(ended.model_copy(update={"status": TaskStatus.FAILED}))
