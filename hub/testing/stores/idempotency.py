"""The same idempotency key gets the same answer."""

import asyncio
import dataclasses

import pytest

from hub.errors import Invalid
from hub.models import Record
from hub.stores.base import AcceptResult, ItemResult, Store
from hub.testing.clock import ManualClock
from hub.testing.stores.intake import events
from hub.testing.stores.samples import OTHER, TENANT, batch, entry, event, idempotency, ids
from hub.testing.stores.suite import OpenStore, StoreSuite


class IdempotencyConformance(StoreSuite):
    """The port `Intake`: idempotency keys."""

    async def test_the_same_idempotency_key_gives_the_first_answer_again_and_writes_nothing(self, store: Store) -> None:
        rejected = ItemResult(
            1, "rejected", problem={"title": "Invalid", "status": 422, "errors": [{"pointer": "/type"}]}
        )
        first = batch(entry(event(), index=0), entry(event(), index=2), rejected=(rejected,), idempotency=idempotency())
        answer = await store.intake.accept(first)
        assert [(v.index, v.status) for v in answer.verdicts] == [(0, "accepted"), (1, "rejected"), (2, "accepted")]
        assert not answer.replayed
        again = await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
        assert again == dataclasses.replace(answer, replayed=True)
        assert await events(store) == 2

    async def test_an_idempotency_key_is_durable(self, opened: OpenStore) -> None:
        store = await opened.open()
        answer = await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
        store = await opened.reopen()
        assert ids(await store.intake.accept(batch(entry(event()), idempotency=idempotency()))) == ids(answer)

    async def test_fifty_parallel_posts_with_one_idempotency_key_are_one_event_and_fifty_equal_answers(
        self,
        store: Store,
    ) -> None:
        answers = await asyncio.gather(
            *(store.intake.accept(batch(entry(event(), ["sub_1"]), idempotency=idempotency())) for _ in range(50))
        )
        assert len({answer.verdicts for answer in answers}) == 1
        assert [answer.replayed for answer in answers].count(False) == 1
        assert await events(store) == 1

    async def test_the_same_key_with_another_request_is_refused_and_writes_nothing(self, store: Store) -> None:
        await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
        with pytest.raises(Invalid):
            await store.intake.accept(batch(entry(event()), idempotency=idempotency(fingerprint="another")))
        assert await events(store) == 1

    async def test_in_parallel_a_key_serves_one_fingerprint_and_refuses_the_other(self, store: Store) -> None:
        posts = [batch(entry(event()), idempotency=idempotency(fingerprint=str(n % 2))) for n in range(20)]
        answers = await asyncio.gather(*map(store.intake.accept, posts), return_exceptions=True)
        assert sum(isinstance(answer, AcceptResult) for answer in answers) == 10
        assert sum(isinstance(answer, Invalid) for answer in answers) == 10
        assert await events(store) == 1

    async def test_a_key_belongs_to_its_tenant(self, store: Store) -> None:
        await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
        other = await store.intake.accept(
            batch(entry(event(tenant=OTHER)), tenant=OTHER, idempotency=idempotency(fingerprint="another"))
        )
        assert not other.replayed

    async def test_an_expired_key_is_new_again(self, store: Store, clock: ManualClock) -> None:
        await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
        clock.advance(86_400)
        later = idempotency(fingerprint="another")
        assert await store.intake.recall(TENANT, later) is None
        assert not (await store.intake.accept(batch(entry(event()), idempotency=later))).replayed
        assert (await store.intake.accept(batch(entry(event()), idempotency=later))).replayed
        assert await events(store) == 2

    async def test_recall_answers_as_accept_would(self, store: Store) -> None:
        assert await store.intake.recall(TENANT, idempotency()) is None
        answer = await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
        assert await store.intake.recall(TENANT, idempotency()) == dataclasses.replace(answer, replayed=True)
        assert await store.intake.recall(OTHER, idempotency()) is None
        with pytest.raises(Invalid):
            await store.intake.recall(TENANT, idempotency(fingerprint="another"))

    async def test_a_key_that_was_answered_is_answered_again_whatever_the_catalogue_is_by_then(
        self, store: Store
    ) -> None:
        await store.intake.accept(batch(entry(event()), idempotency=idempotency()))
        await store.records.write([Record("subscription", TENANT, "sub_1", b"{}")])
        assert (await store.intake.accept(batch(entry(event()), idempotency=idempotency()))).replayed
