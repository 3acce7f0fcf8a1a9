"""Events are checked, matched in memory, committed as one with their deliveries, and told to the workers."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.event_types import BUILT_IN, EventTypeSpec
from hub.catalogue.event_types.service import EventTypes
from hub.catalogue.subscriptions import SubscriptionSpec
from hub.catalogue.subscriptions.service import Subscriptions
from hub.compute import ComputePool
from hub.errors import BadRequest, Conflict, HubError, Invalid, StaleCatalogue, Unavailable
from hub.models import FeedEntry, FeedKind, Record
from hub.publishing import publisher as module
from hub.publishing.event import ParsedEvent, parse_native
from hub.publishing.publisher import ACCEPT_TRIES, Publisher
from hub.stores.base import (
    AcceptResult,
    Batch,
    DeliveryQuery,
    FanOut,
    Idempotency,
    Intake,
    Match,
    NewDelivery,
    Page,
    Signal,
    Store,
)
from hub.telemetry.metrics import Metrics
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import idempotency
from tests.hub.dispatch.parts import OPERATOR, TENANT, Parts, make_parts


def parsed(data: object = 1, type: str = "stock.low", **members: Any) -> ParsedEvent:
    return parse_native(json.dumps({"type": type, "data": data, **members}).encode())


class HeldIntake(Intake):
    """A store's intake whose commits wait until they may go on, and fail as often as they are told."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.failures: list[HubError] = []
        self.calls = 0

    async def accept(self, batch: Batch) -> AcceptResult:
        self.calls += 1
        await self.may_go.wait()
        if self.failures:
            raise self.failures.pop()
        return await self._intake.accept(batch)

    async def recall(self, tenant: str, idempotency: Idempotency) -> AcceptResult | None:
        return await self._intake.recall(tenant, idempotency)

    async def fan_outs(self, limit: int, after: str = "") -> Sequence[FanOut]:
        return await self._intake.fan_outs(limit, after)

    async def match(self, name: str) -> Match | None:
        return await self._intake.match(name)

    async def expand(self, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None) -> bool:
        return await self._intake.expand(fan_out, deliveries, after)

    async def cancel(self, tenant: str, event_id: str, at: datetime) -> bool:
        return await self._intake.cancel(tenant, event_id, at)


@dataclass
class Press:
    """A publisher over a real store, and what it told the workers."""

    parts: Parts
    intake: HeldIntake
    metrics: Metrics = field(default_factory=Metrics)
    told: list[Signal] = field(default_factory=list)

    def publisher(
        self, *, strict_types: bool = False, fanout_inline_max: int = 3, compute: ComputePool | None = None
    ) -> Publisher:
        parts = self.parts
        return Publisher(
            self.intake, parts.catalogue, parts.clock, self.metrics, self.told.append, compute or ComputePool(),
            strict_types=strict_types, fanout_inline_max=fanout_inline_max,
        )  # fmt: skip

    async def lanes(self) -> list[str]:
        found = await self.parts.store.archive.deliveries(TENANT, DeliveryQuery(), Page())
        return sorted(delivery.subscription_id for delivery in found.items)


@pytest.fixture
def press(parts: Parts) -> Press:
    return Press(parts, HeldIntake(parts.store.intake))


@pytest.fixture
def parts(store: Store, clock: ManualClock) -> Parts:
    return make_parts(store, clock)


def statuses(answer: AcceptResult) -> list[str]:
    return [verdict.status for verdict in answer.verdicts]


async def test_an_event_is_committed_with_its_deliveries_and_its_entry_of_the_feed(press: Press) -> None:
    ids = [(await press.parts.subscribe(**more)).id for more in ({}, {"event_types": ["user.*"]}, {"enabled": False})]
    answer = await press.publisher().publish_one(TENANT, parsed({"sku": "A-1"}), None)
    assert statuses(answer) == ["accepted"]
    assert await press.lanes() == sorted([ids[0], ids[2]])
    (row,) = [row for row in await press.parts.store.feed.read(0, 10) if row.entry.kind is FeedKind.EVENT_ACCEPTED]
    assert (row.entry.event_id, b"A-1" in row.entry.data) == (answer.verdicts[0].id, False)
    assert press.told == [Signal(dict.fromkeys([ids[0], ids[2]]))]


async def test_filters_decide_who_gets_an_event(press: Press) -> None:
    large = await press.parts.subscribe(filter={"data.total": {"gte": 100}})
    await press.parts.subscribe(filter={"data.total": {"lt": 100}})
    await press.publisher().publish_one(TENANT, parsed({"total": 100}), None)
    assert await press.lanes() == [large.id]


@pytest.mark.parametrize(("subscriptions", "fans_out"), [(3, False), (4, True)])
async def test_more_deliveries_than_are_made_inline_are_left_to_a_fan_out(
    press: Press, subscriptions: int, fans_out: bool
) -> None:
    for _ in range(subscriptions):
        await press.parts.subscribe()
    await press.publisher(fanout_inline_max=3).publish_one(TENANT, parsed(), None)
    assert len(await press.lanes()) == (0 if fans_out else subscriptions)
    assert len(await press.parts.store.intake.fan_outs(10)) == fans_out
    assert [signal.fans_out for signal in press.told] == [fans_out]


async def test_the_deliveries_made_inline_are_counted_over_the_whole_request(press: Press) -> None:
    both = sorted([(await press.parts.subscribe()).id for _ in range(2)])
    large = await press.parts.subscribe(filter={"data": {"eq": "large"}})
    items = [parsed("small"), parsed("large"), parsed("small"), parsed("large")]
    await press.publisher(fanout_inline_max=4).publish(TENANT, items, None)
    assert await press.lanes() == sorted(both * 2)
    intake = press.parts.store.intake
    first, second = await intake.fan_outs(10)
    assert first.match == second.match
    assert first.match is not None
    match = await intake.match(first.match)
    assert match is not None
    assert match.recipients == tuple((id_, "scripted") for id_ in sorted([*both, large.id]))


async def test_each_item_of_a_batch_has_a_result_of_its_own(press: Press) -> None:
    order = parsed({}, "order.created")
    late = parsed(expires_at="2026-11-23T12:00:00Z")
    items: list[ParsedEvent | HubError] = [parsed(id="1"), BadRequest("Not JSON."), order, parsed(id="1"), late]
    answer = await press.publisher().publish(TENANT, items, None)
    assert statuses(answer) == ["accepted", "rejected", "rejected", "duplicate", "rejected"]
    assert [verdict.index for verdict in answer.verdicts] == list(range(5))
    rendered = press.metrics.render()[0].decode()
    for status, count in (("accepted", 1), ("duplicate", 1), ("rejected", 3)):
        assert f'hub_events_total{{status="{status}"}} {count}.0' in rendered


async def test_lanes_are_told_when_the_first_of_their_deliveries_is_due(press: Press) -> None:
    lane = (await press.parts.subscribe()).id
    later, sooner = START + timedelta(seconds=9), START + timedelta(seconds=5)
    publisher = press.publisher()
    for instants, due in (([later, sooner], sooner), ([later, None, sooner], None)):
        items = [parsed(**({"deliver_at": at.isoformat()} if at else {})) for at in instants]
        await publisher.publish(TENANT, items, None)
        assert press.told.pop() == Signal({lane: due})


@pytest.mark.parametrize(
    ("event", "pointers"),
    [
        (parsed({**BUILT_IN["order.paid"].example, "total": 1}, "order.paid"), ["/data/total"]),
        (parsed({}, "stock.low"), ["/data/sku"]),
        (parsed(BUILT_IN["user.deleted"].example, "user.deleted"), ["/data/sku"]),
        (parsed({"sku": "A"}, "stock.low", expires_at="2026-11-23T12:00:00Z"), ["/expires_at"]),
    ],
)
async def test_an_event_that_breaks_a_rule_of_its_type_or_of_time_is_refused(
    press: Press, event: ParsedEvent, pointers: list[str]
) -> None:
    event_types = EventTypes(press.parts.catalogue, press.parts.clock, ComputePool())
    for name in ("stock.low", "user.deleted"):
        await event_types.put(TENANT, name, EventTypeSpec.model_validate({"schema": {"required": ["sku"]}}))
    with pytest.raises(Invalid) as refused:
        await press.publisher().publish_one(TENANT, event, None)
    assert [fault.pointer for fault in refused.value.errors] == pointers
    assert (press.intake.calls, press.told) == (0, [])


async def test_only_where_types_are_strict_an_unknown_one_is_refused(press: Press) -> None:
    strict = press.publisher(strict_types=True)
    with pytest.raises(Invalid) as refused:
        await strict.publish_one(TENANT, parsed(), None)
    assert [fault.pointer for fault in refused.value.errors] == ["/type"]
    await EventTypes(press.parts.catalogue, press.parts.clock, ComputePool()).put(TENANT, "stock.low", EventTypeSpec())
    for publisher in (strict, press.publisher()):
        assert statuses(await publisher.publish_one(TENANT, parsed(), None)) == ["accepted"]


async def test_an_event_is_matched_with_what_other_processes_subscribed_meanwhile(press: Press) -> None:
    parts = press.parts
    codec = parts.subscriptions._codec
    elsewhere = Subscriptions(Catalogue(parts.store.records, codec.decode), codec, parts.clock, ComputePool())
    spec = SubscriptionSpec(name="new", event_types=("*",), channel="scripted", target={})
    new = await elsewhere.create(OPERATOR, spec)
    await press.publisher().publish_one(TENANT, parsed(), None)
    assert await press.lanes() == [new.id]
    assert press.intake.calls == 2


async def test_a_catalogue_that_is_always_ahead_is_given_up(press: Press) -> None:
    press.intake.failures = [StaleCatalogue("It moved on.")] * ACCEPT_TRIES
    with pytest.raises(Unavailable) as given_up:
        await press.publisher().publish_one(TENANT, parsed(), None)
    assert (given_up.value.retry_after, press.intake.calls, press.told) == (1, ACCEPT_TRIES, [])


async def test_a_publisher_is_accepted_while_its_tenant_changes_the_catalogue_without_pause(press: Press) -> None:
    parts, changes = press.parts, 0

    def rename() -> tuple[list[Record], list[FeedEntry]]:
        return [Record("event_type", TENANT, "churn", None)], []

    async def churn() -> None:
        nonlocal changes
        while True:
            await parts.catalogue.change(rename)
            changes += 1

    churning = [asyncio.create_task(churn()) for _ in range(3)]
    publisher = press.publisher()
    try:
        for _ in range(20):
            assert statuses(await publisher.publish_one(TENANT, parsed(), None)) == ["accepted"]
    finally:
        for task in churning:
            task.cancel()
        await asyncio.gather(*churning, return_exceptions=True)
    assert changes > 0


async def test_of_requests_with_one_key_the_first_is_answered_and_the_others_get_its_answer(press: Press) -> None:
    publisher = press.publisher()
    press.intake.may_go.clear()
    requests = [asyncio.create_task(publisher.publish_one(TENANT, parsed(), idempotency())) for _ in range(5)]
    await asyncio.sleep(0)
    assert press.intake.calls == 1
    press.intake.may_go.set()
    answers = await asyncio.gather(*requests)
    assert [answer.replayed for answer in answers] == [False, True, True, True, True]
    assert len({answer.verdicts for answer in answers}) == 1
    assert publisher._under_way == {}


async def test_who_waits_too_long_for_the_first_request_is_told_to_come_back(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    publisher = press.publisher()
    press.intake.may_go.clear()
    first = asyncio.create_task(publisher.publish_one(TENANT, parsed(), idempotency()))
    await asyncio.sleep(0)
    with pytest.raises(Conflict) as refused:
        await publisher.publish_one(TENANT, parsed(), idempotency())
    assert refused.value.retry_after == 1
    press.intake.may_go.set()
    assert statuses(await first) == ["accepted"]


async def test_a_request_that_fails_leaves_its_key_to_the_next(press: Press) -> None:
    publisher = press.publisher()
    press.intake.failures = [Unavailable("The disk is full.")]
    with pytest.raises(Unavailable):
        await publisher.publish_one(TENANT, parsed(), idempotency())
    answer = await publisher.publish_one(TENANT, parsed(), idempotency())
    assert (answer.replayed, statuses(answer)) == (False, ["accepted"])


async def test_an_event_that_would_be_refused_now_still_gets_the_answer_of_its_key(press: Press) -> None:
    publisher = press.publisher()
    event = parsed(expires_at="2026-11-23T12:00:10Z")
    first = await publisher.publish_one(TENANT, event, idempotency())
    press.parts.clock.advance(10)
    again = await publisher.publish_one(TENANT, event, idempotency())
    assert (again.replayed, again.verdicts) == (True, first.verdicts)
    with pytest.raises(Invalid):
        await publisher.publish_one(TENANT, event, None)


COSTLY_FILTER = {"any": [{"data.a": {"contains": "y" * 1_000 + f"z{number}"}} for number in range(100)]}
COSTLY_SCHEMA = {
    "$defs": {"a": {"oneOf": [{"type": "string", "pattern": "^(a|aa)+$"}] * 60}},
    "items": {"anyOf": [{"$ref": "#/$defs/a"}] * 60},
}


@pytest.mark.process
async def test_an_event_that_costs_too_much_is_refused_and_takes_nothing_from_others(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.publishing.publisher.COMPUTE_SECONDS", 0.1)
    for _ in range(8):
        await press.parts.subscribe(filter=COSTLY_FILTER)
    async with ComputePool() as compute:
        await EventTypes(press.parts.catalogue, press.parts.clock, compute).put(
            TENANT, "stock.high", EventTypeSpec(schema=COSTLY_SCHEMA)
        )
        publisher = press.publisher(compute=compute)
        costly = parsed({"a": "y" * 250_000}), parsed(["a" * 2_000] * 120, type="stock.high")
        for item, how in zip(costly, ("matched with the filters", "checked against the schema"), strict=True):
            with pytest.raises(Invalid) as refused:
                await publisher.publish_one(TENANT, item, None)
            assert refused.value.errors[0].detail.startswith(f"takes more than 0.1 s of processor time to be {how}")
        answer = await publisher.publish(TENANT, [parsed({"a": "x"}), *costly, parsed({"a": "x"})], None)
        assert statuses(answer) == ["accepted", "rejected", "rejected", "accepted"]
