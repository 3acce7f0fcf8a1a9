"""An event is accepted in one commit, and once."""

import asyncio
from datetime import timedelta

import pytest

from hub.errors import HubError, Invalid, StaleCatalogue
from hub.ids import new_id
from hub.models import Record, Status
from hub.stores.base import AcceptResult, DeliveryQuery, EventQuery, ItemResult, NewDelivery, Page, Store
from hub.testing.clock import START
from hub.testing.stores.samples import OTHER, TENANT, batch, claim, entry, event, idempotency, ids, match, publish
from hub.testing.stores.suite import OpenStore, StoreSuite


async def events(store: Store, tenant: str = TENANT) -> int:
    return len((await store.archive.events(tenant, EventQuery(), Page(200))).items)


class IntakeConformance(StoreSuite):
    """The port `Intake`: events, duplicates, cancellation."""

    async def test_an_accepted_event_is_read_back_as_it_was_with_its_deliveries_and_its_feed_entry(
        self, store: Store
    ) -> None:
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

    async def test_what_was_accepted_survives_a_restart(self, opened: OpenStore) -> None:
        new = await publish(await opened.open(), "sub_1")
        store = await opened.reopen()
        assert await store.archive.event(TENANT, new.id) == new
        assert [claimed.event for claimed in await claim(store)] == [new]

    async def test_an_event_with_data_as_long_as_a_book_is_kept_byte_for_byte(self, store: Store) -> None:
        new = await publish(store, "sub_1", data=b'"' + b"\\\\ \\" + b'"' + b"x" * 300_000 + b'"')
        assert await store.archive.event(TENANT, new.id) == new
        (claimed,) = await claim(store)
        assert claimed.event == new

    async def test_a_source_and_id_published_before_is_a_duplicate_of_the_first_and_nothing_of_it_is_written(
        self,
        store: Store,
    ) -> None:
        first = await publish(store, "sub_1", source_id="a-1")
        again = event(source_id="a-1")
        answer = await store.intake.accept(batch(entry(again, ["sub_1", "sub_2"])))
        assert answer.verdicts == (ItemResult(0, "duplicate", first.id),)
        assert await store.archive.event(TENANT, again.id) is None
        assert len((await store.archive.deliveries(TENANT, DeliveryQuery(), Page())).items) == 1
        assert len(await store.feed.read(0, 10)) == 1

    async def test_a_duplicate_inside_one_batch_points_to_the_first_of_the_batch(self, store: Store) -> None:
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
        self,
        store: Store,
    ) -> None:
        for _ in range(2):
            await publish(store)
        await publish(store, source_id="a-1")
        await publish(store, source_id="a-1", source="/other")
        await publish(store, source_id="a-1", tenant=OTHER)
        assert (await events(store), await events(store, OTHER)) == (4, 1)

    async def test_of_fifty_parallel_posts_of_one_source_and_id_one_is_accepted(self, store: Store) -> None:
        answers = await asyncio.gather(
            *(store.intake.accept(batch(entry(event(source_id="a-1"), ["sub_1"]))) for _ in range(50))
        )
        statuses = [answer.verdicts[0].status for answer in answers]
        assert (statuses.count("accepted"), statuses.count("duplicate")) == (1, 49)
        assert len({answer.verdicts[0].id for answer in answers}) == 1
        assert await events(store) == 1

    async def test_a_stale_catalogue_version_is_refused_and_writes_nothing(self, store: Store) -> None:
        version = await store.records.write([Record("subscription", TENANT, "sub_1", b"{}")])
        with pytest.raises(StaleCatalogue):
            await store.intake.accept(batch(entry(event()), catalogue_version=version - 1, idempotency=idempotency()))
        assert await events(store) == 0
        assert await store.intake.recall(TENANT, idempotency()) is None
        await store.intake.accept(batch(entry(event()), catalogue_version=version))

    async def test_what_another_tenant_changes_makes_no_catalogue_version_stale(self, store: Store) -> None:
        version = await store.records.write([Record("subscription", TENANT, "sub_1", b"{}")])
        await store.records.write([Record("subscription", OTHER, "sub_2", b"{}")])
        await store.records.write([Record("subscription", OTHER, "sub_2", None), Record("tenant", OTHER, OTHER, b"{}")])
        await store.intake.accept(batch(entry(event()), catalogue_version=version))
        with pytest.raises(StaleCatalogue):
            await store.intake.accept(batch(entry(event(tenant=OTHER)), tenant=OTHER, catalogue_version=version))
        newest = await store.records.write([Record("event_type", TENANT, "order.created", None)])
        with pytest.raises(StaleCatalogue):
            await store.intake.accept(batch(entry(event()), catalogue_version=version))
        with pytest.raises(StaleCatalogue):
            await store.intake.accept(batch(entry(event()), catalogue_version=newest + 1))
        assert await events(store) == 1

    async def test_the_errors_of_some_parallel_posts_do_not_spoil_the_others(self, store: Store) -> None:
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

    async def test_a_batch_of_a_thousand_events_is_kept_whole_and_in_order(self, store: Store) -> None:
        new = [event(subject=str(n)) for n in range(1_000)]
        answer = await store.intake.accept(batch(*(entry(e, ["sub_1", "sub_2"], index=n) for n, e in enumerate(new))))
        assert ids(answer) == [e.id for e in new]
        assert [row.entry.event_id for row in await store.feed.read(0, 2_000)] == [e.id for e in new]
        counts = await store.archive.counts(TENANT, DeliveryQuery())
        assert counts == {"sub_1": {Status.PENDING: 1_000}, "sub_2": {Status.PENDING: 1_000}}

    async def test_cancelling_marks_the_event_once_and_drops_its_fan_out(self, store: Store) -> None:
        new = event()
        await store.intake.accept(batch(entry(new, fan_out=match())))
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
