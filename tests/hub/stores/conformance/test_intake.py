"""Accepting: one commit, no duplicates, the same answer to the same key."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from hub.errors import HubError, Invalid, StaleCatalogue
from hub.ids import new_id
from hub.models import Record, Status
from hub.stores.base import AcceptResult, DeliveryQuery, EventQuery, ItemResult, NewDelivery, Page, Store
from tests.clock import START, ManualClock
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import OTHER, TENANT, batch, claim, entry, event, idempotency, ids, publish


async def events(store: Store, tenant: str = TENANT) -> int:
    return len((await store.archive.events(tenant, EventQuery(), Page(200))).items)


async def test_an_accepted_event_is_read_back_as_it_was_with_its_deliveries_and_its_feed_entry(store: Store) -> None:
    new = event(
        source_id="a-1",
        subject="orders/1",
        data='{"price": 1.10, "name": "ü\\u0000\\/"}'.encode(),
        content_type="application/json",
        data_base64=True,
        extensions={"dataschema": "https://example.com", "count": 3, "fast": True},
        ordering_key="orders/1",
        deliver_at=START + timedelta(hours=1),
        expires_at=START + timedelta(hours=2),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    answer = await store.intake.accept(batch(entry(new, ["sub_1", "sub_2"])))
    assert answer == AcceptResult((ItemResult(0, "accepted", new.id),))
    assert await store.archive.event(TENANT, new.id) == new
    deliveries = (await store.archive.deliveries(TENANT, DeliveryQuery(event_id=new.id), Page())).items
    assert {d.subscription_id: (d.status, d.next_attempt_at, d.attempt_count) for d in deliveries} == {
        "sub_1": (Status.PENDING, START + timedelta(hours=1), 0),
        "sub_2": (Status.PENDING, START + timedelta(hours=1), 0),
    }
    assert [(row.entry.event_id, row.entry.tenant) for row in await store.feed.read(0, 10)] == [(new.id, TENANT)]


async def test_what_was_accepted_survives_a_restart(opened: OpenStore) -> None:
    new = await publish(await opened.open(), "sub_1")
    store = await opened.reopen()
    assert await store.archive.event(TENANT, new.id) == new
    assert [claimed.event for claimed in await claim(store)] == [new]


async def test_an_event_with_data_as_long_as_a_book_is_kept_byte_for_byte(store: Store) -> None:
    new = await publish(store, "sub_1", data=b'"' + b"\\\\ \\" + b'"' + b"x" * 300_000 + b'"')
    assert await store.archive.event(TENANT, new.id) == new
    (claimed,) = await claim(store)
    assert claimed.event == new


async def test_a_source_and_id_published_before_is_a_duplicate_of_the_first_and_nothing_of_it_is_written(
    store: Store,
) -> None:
    first = await publish(store, "sub_1", source_id="a-1")
    again = event(source_id="a-1")
    answer = await store.intake.accept(batch(entry(again, ["sub_1", "sub_2"])))
    assert answer.verdicts == (ItemResult(0, "duplicate", first.id),)
    assert await store.archive.event(TENANT, again.id) is None
    assert len((await store.archive.deliveries(TENANT, DeliveryQuery(), Page())).items) == 1
    assert len(await store.feed.read(0, 10)) == 1


async def test_a_duplicate_inside_one_batch_points_to_the_first_of_the_batch(store: Store) -> None:
    first, second, other = event(source_id="a-1"), event(source_id="a-1"), event(source_id="a-2")
    answer = await store.intake.accept(
        batch(entry(first, index=0), entry(second, ["sub_1"], index=1), entry(other, index=2))
    )
    assert [(v.status, v.id) for v in answer.verdicts] == [
        ("accepted", first.id),
        ("duplicate", first.id),
        ("accepted", other.id),
    ]


async def test_events_without_a_source_id_and_those_of_other_sources_or_tenants_are_never_duplicates(
    store: Store,
) -> None:
    for _ in range(2):
        await publish(store)
    await publish(store, source_id="a-1")
    await publish(store, source_id="a-1", source="/other")
    await publish(store, source_id="a-1", tenant=OTHER)
    assert (await events(store), await events(store, OTHER)) == (4, 1)


async def test_of_fifty_parallel_posts_of_one_source_and_id_one_is_accepted(store: Store) -> None:
    answers = await asyncio.gather(
        *(store.intake.accept(batch(entry(event(source_id="a-1"), ["sub_1"]))) for _ in range(50))
    )
    statuses = [answer.verdicts[0].status for answer in answers]
    assert (statuses.count("accepted"), statuses.count("duplicate")) == (1, 49)
    assert len({answer.verdicts[0].id for answer in answers}) == 1
    assert await events(store) == 1


async def test_the_same_idempotency_key_gives_the_first_answer_again_and_writes_nothing(store: Store) -> None:
    rejected = ItemResult(1, "rejected", problem={"title": "Invalid", "status": 422, "errors": [{"pointer": "/type"}]})
    first = batch(entry(event(), index=0), entry(event(), index=2), rejected=(rejected,), idempotency=idempotency())
    answer = await store.intake.accept(first)
    assert [(v.index, v.status) for v in answer.verdicts] == [(0, "accepted"), (1, "rejected"), (2, "accepted")]
    assert not answer.replayed
    again = await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
    assert again == dataclasses.replace(answer, replayed=True)
    assert await events(store) == 2


async def test_an_idempotency_key_is_durable(opened: OpenStore) -> None:
    store = await opened.open()
    answer = await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
    store = await opened.reopen()
    assert ids(await store.intake.accept(batch(entry(event()), idempotency=idempotency()))) == ids(answer)


async def test_fifty_parallel_posts_with_one_idempotency_key_are_one_event_and_fifty_equal_answers(
    store: Store,
) -> None:
    answers = await asyncio.gather(
        *(store.intake.accept(batch(entry(event(), ["sub_1"]), idempotency=idempotency())) for _ in range(50))
    )
    assert len({answer.verdicts for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert await events(store) == 1


async def test_the_same_key_with_another_request_is_refused_and_writes_nothing(store: Store) -> None:
    await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
    with pytest.raises(Invalid):
        await store.intake.accept(batch(entry(event()), idempotency=idempotency(fingerprint="another")))
    assert await events(store) == 1


async def test_in_parallel_a_key_serves_one_fingerprint_and_refuses_the_other(store: Store) -> None:
    posts = [batch(entry(event()), idempotency=idempotency(fingerprint=str(n % 2))) for n in range(20)]
    answers = await asyncio.gather(*map(store.intake.accept, posts), return_exceptions=True)
    assert sum(isinstance(answer, AcceptResult) for answer in answers) == 10
    assert sum(isinstance(answer, Invalid) for answer in answers) == 10
    assert await events(store) == 1


async def test_a_key_belongs_to_its_tenant(store: Store) -> None:
    await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
    other = await store.intake.accept(
        batch(entry(event(tenant=OTHER)), tenant=OTHER, idempotency=idempotency(fingerprint="another"))
    )
    assert not other.replayed


async def test_an_expired_key_is_new_again(store: Store, clock: ManualClock) -> None:
    await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
    clock.advance(86_400)
    later = idempotency(fingerprint="another", expires_at=clock.now() + timedelta(days=1))
    assert await store.intake.recall(TENANT, later) is None
    assert not (await store.intake.accept(batch(entry(event()), idempotency=later))).replayed
    assert (await store.intake.accept(batch(entry(event()), idempotency=later))).replayed
    assert await events(store) == 2


async def test_recall_answers_as_accept_would(store: Store) -> None:
    assert await store.intake.recall(TENANT, idempotency()) is None
    answer = await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
    assert await store.intake.recall(TENANT, idempotency()) == dataclasses.replace(answer, replayed=True)
    assert await store.intake.recall(OTHER, idempotency()) is None
    with pytest.raises(Invalid):
        await store.intake.recall(TENANT, idempotency(fingerprint="another"))


async def test_a_stale_catalogue_version_is_refused_and_writes_nothing(store: Store) -> None:
    version = await store.records.write([Record("subscription", TENANT, "sub_1", b"{}")])
    with pytest.raises(StaleCatalogue):
        await store.intake.accept(batch(entry(event()), catalogue_version=version - 1, idempotency=idempotency()))
    assert await events(store) == 0
    assert await store.intake.recall(TENANT, idempotency()) is None
    await store.intake.accept(batch(entry(event()), catalogue_version=version))


async def test_a_key_that_was_answered_is_answered_again_whatever_the_catalogue_is_by_then(store: Store) -> None:
    await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
    await store.records.write([Record("subscription", TENANT, "sub_1", b"{}")])
    assert (await store.intake.accept(batch(entry(event()), idempotency=idempotency()))).replayed


async def test_the_errors_of_some_parallel_posts_do_not_spoil_the_others(store: Store) -> None:
    await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
    taken = event()
    await store.intake.accept(batch(entry(taken)))
    posts = [
        batch(entry(event())),
        batch(entry(event()), idempotency=idempotency(fingerprint="another")),
        batch(entry(event()), catalogue_version=7),
        batch(entry(taken)),
        batch(entry(event())),
    ]
    answers = await asyncio.gather(*map(store.intake.accept, posts), return_exceptions=True)
    assert [type(answer) for answer in answers[:3]] == [AcceptResult, Invalid, StaleCatalogue]
    assert isinstance(answers[3], HubError), "an id that exists is a defect of the caller"
    assert isinstance(answers[4], AcceptResult)
    assert await events(store) == 4


async def test_a_batch_of_a_thousand_events_is_kept_whole_and_in_order(store: Store) -> None:
    new = [event(subject=str(n)) for n in range(1_000)]
    answer = await store.intake.accept(batch(*(entry(e, ["sub_1", "sub_2"], index=n) for n, e in enumerate(new))))
    assert ids(answer) == [e.id for e in new]
    assert [row.entry.event_id for row in await store.feed.read(0, 2_000)] == [e.id for e in new]
    counts = await store.archive.counts(TENANT, DeliveryQuery())
    assert counts == {"sub_1": {Status.PENDING: 1_000}, "sub_2": {Status.PENDING: 1_000}}


async def test_a_fan_out_is_expanded_in_chunks_and_each_cursor_works_once(store: Store) -> None:
    new = event()
    await store.intake.accept(batch(entry(new, fan_out=True)))
    (fan_out,) = await store.intake.fan_outs(10)
    assert (fan_out.event, fan_out.after) == (new, "")
    first = [NewDelivery(new_id("dlv"), f"sub_{n}", "webhook") for n in range(3)]
    assert await store.intake.expand(fan_out, first, "sub_2")
    assert not await store.intake.expand(fan_out, first, "sub_2")
    (moved,) = await store.intake.fan_outs(10)
    assert moved.after == "sub_2"
    assert await store.intake.expand(moved, [NewDelivery(new_id("dlv"), "sub_3", "slack")], None)
    assert await store.intake.fan_outs(10) == []
    assert set(await store.queue.due()) == {"sub_0", "sub_1", "sub_2", "sub_3"}


async def test_of_parallel_expansions_of_one_cursor_one_counts(store: Store) -> None:
    await store.intake.accept(batch(entry(event(), fan_out=True)))
    (fan_out,) = await store.intake.fan_outs(10)
    chunk = [NewDelivery(new_id("dlv"), "sub_1", "webhook")]
    moved = await asyncio.gather(*(store.intake.expand(fan_out, chunk, "sub_1") for _ in range(20)))
    assert moved.count(True) == 1
    assert len((await store.archive.deliveries(TENANT, DeliveryQuery(), Page())).items) == 1


async def test_fan_outs_come_oldest_first_and_survive_a_restart(opened: OpenStore) -> None:
    store = await opened.open()
    new = [event(deliver_at=START + timedelta(hours=1)) for _ in range(3)]
    for one in new:
        await store.intake.accept(batch(entry(one, fan_out=True)))
    store = await opened.reopen()
    assert [fan_out.event for fan_out in await store.intake.fan_outs(2)] == new[:2]
    (fan_out,) = await store.intake.fan_outs(1)
    assert await store.intake.expand(fan_out, [NewDelivery(new_id("dlv"), "sub_1", "webhook")], None)
    assert await store.queue.due() == {"sub_1": START + timedelta(hours=1)}


async def test_cancelling_marks_the_event_once_and_drops_its_fan_out(store: Store) -> None:
    new = event()
    await store.intake.accept(batch(entry(new, fan_out=True)))
    (fan_out,) = await store.intake.fan_outs(10)
    assert not await store.intake.cancel(OTHER, new.id, START)
    assert await store.intake.cancel(TENANT, new.id, START)
    assert not await store.intake.cancel(TENANT, new.id, START + timedelta(hours=1))
    assert not await store.intake.cancel(TENANT, "evt_unknown", START)
    assert await store.intake.fan_outs(10) == []
    assert not await store.intake.expand(fan_out, [NewDelivery(new_id("dlv"), "sub_1", "webhook")], None)
    kept = await store.archive.event(TENANT, new.id)
    assert kept is not None
    assert kept.cancelled_at == START
