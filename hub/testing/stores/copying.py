"""A copy of everything from one store to another, and an example of everything to copy."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest_asyncio

from hub.models import Cause, Delivery, Event, Outcome, Record, Status, TaskStatus
from hub.stores import open_store
from hub.stores.base import (
    Batch,
    CopyState,
    DeliveryQuery,
    FanOut,
    ItemResult,
    Match,
    NewDelivery,
    Page,
    Result,
    Section,
    Store,
    Transfer,
)
from hub.stores.stored import StoredEvent
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import (
    OTHER,
    TENANT,
    batch,
    claim,
    entry,
    event,
    idempotency,
    publish,
    result,
    task,
)
from hub.testing.stores.suite import StoreSuite

Files = tuple[Store, Store]
Everything = dict[Section, list[dict[str, Any]]]
PIECEMEAL = [section for section in Section if section is not Section.COUNTERS]
"""The sections that are written piece by piece; the counters are written when a copy begins."""


async def begun(source: Transfer, destination: Transfer) -> CopyState:
    """The state of a copy, which is begun if it was not."""
    if (state := await destination.state()) is None:
        counters = await source.read(Section.COUNTERS, "", 1)
        await destination.begin("what the source is like", counters.documents)
        state = await destination.state()
    assert state is not None
    return state


async def move(source: Transfer, destination: Transfer, *, limit: int = 100) -> None:
    """Copy everything that the destination does not have yet."""
    state = await begun(source, destination)
    for section in PIECEMEAL:
        after = state.reached.get(section, "")
        while (piece := await source.read(section, after, limit)).documents:
            await destination.write(section, piece)
            after = piece.after


async def everything(transfer: Transfer, *, limit: int = 100) -> Everything:
    """All documents. Those of sections without an order are sorted, so that two stores can be compared."""
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
    """Events, each put together from the documents that it was spread over."""
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
    """Store at least one thing of every kind and in every state."""
    made = await _publish_events(store)
    await _send_some(store)
    await replay(store, made["retried"], START + timedelta(minutes=5))
    source = Record("source", OTHER, "src_1", b'{"sealed": {}}')
    await store.records.write([record("sub_1", b'{"a": 1.10}'), record("sub_2"), source])
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
    return made


async def _publish_events(store: Store) -> Mapping[str, Event]:
    made = {
        "delivered": await publish(store, "sub_1", "sub_2"),
        "retried": await publish(store, "sub_retry", subject="o-1", source_id="s-1"),
        "dead": await publish(store, "sub_dead", channel="email", type="user.registered"),
        "sending": await publish(store, "sub_sending"),
        "later": await publish(store, "sub_later", deliver_at=START + timedelta(hours=2)),
        "pending": await publish(store, "sub_pending", data=b'{"amount": 1.10, "a": "\\u00e9\xc3\xa9"}'),
        "unmatched": await publish(store, tenant=OTHER, extensions={"dataschema": "urn:x", "n": 3, "b": True}),
        "big": await publish(store, data=b'"' + b"x" * 1_200_000 + b'"', content_type="application/json"),
        "cancelled": await publish(store, "sub_cancelled", traceparent="00-a-b-01", ordering_key="k"),
        "fans_out": event(expires_at=START + timedelta(days=1), data_base64=True, data=b'"aGk="'),
    }
    whom = Match((("sub_fan", "webhook"), ("sub_rest", "slack")))
    await store.intake.accept(batch(entry(made["fans_out"], fan_out=whom)))
    fan_out = FanOut(made["fans_out"], "")
    assert await store.intake.expand(fan_out, [NewDelivery("dlv_fan", "sub_fan", "webhook")], "sub_fan")
    assert await store.intake.cancel(TENANT, made["cancelled"].id, START)
    return made


async def _send_some(store: Store) -> None:
    for lane in ("sub_1", "sub_2", "sub_retry"):
        (claimed,) = await claim(store, lane)
        await store.queue.finish([result(claimed, Status.DELIVERED)])
    given_up = {"reason": "gave up: 500", "checkpoint": '["a"]'}
    for n in range(3):
        (claimed,) = await claim(store, "sub_dead")
        again = result(claimed, Status.PENDING, Outcome.FAILED) if n < 2 else None
        await store.queue.finish([again or result(claimed, Status.DEAD, Outcome.FAILED, **given_up)])
    await claim(store, "sub_sending")


async def replay(store: Store, replayed: Event, at: datetime) -> None:
    """Replay a delivered event at an instant."""
    (delivery,) = await of_event(store, replayed)
    again = {
        "status": Status.PENDING,
        "next_attempt_at": at,
        "schedule_base": delivery.attempt_count,
        "steps_spared": 0.25,
    }
    await store.queue.finish([Result(delivery.model_copy(update=again), cause=Cause.REPLAY)])


def record(id_: str, doc: bytes | None = b"{}", *, tenant: str = TENANT) -> Record:
    return Record("subscription", tenant, id_, doc)


async def of_event(store: Store, one: Event) -> tuple[Delivery, ...]:
    return (await store.archive.deliveries(one.tenant, DeliveryQuery(event_id=one.id), Page(200))).items


class CopyingSuite(StoreSuite):
    """The other ends of a copy: two files."""

    @pytest_asyncio.fixture(loop_scope="function")
    async def files(self, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Files]:
        """Two empty stores of the embedded kind."""
        async with AsyncExitStack() as stack:
            first, second = (f"sqlite:///{tmp_path / name}" for name in ("first.db", "second.db"))
            yield (
                await stack.enter_async_context(open_store(first, clock)),
                await stack.enter_async_context(open_store(second, clock)),
            )

    @pytest_asyncio.fixture(loop_scope="function")
    async def origin(self, files: Files, clock: ManualClock) -> Mapping[str, Event]:
        """What the first file is filled with."""
        return await fill(files[0], clock)
