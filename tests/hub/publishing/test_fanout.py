"""Events with very many deliveries are expanded once, by whoever comes to it, for every subscription of their time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.catalogue.catalogue import Catalogue
from hub.publishing.fanout import YIELD_SECONDS, FanOutExpander
from hub.stores.base import DeliveryQuery, FanOut, NewDelivery, Notify, Page, Signal, Store
from hub.stores.sqlite.intake import SqliteIntake
from tests.api_support import Api, open_api, settings_for

SUBSCRIPTIONS = 5


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """A hub whose own expander is asleep, and whose events all fan out."""
    monkeypatch.setattr("hub.publishing.fanout.CHUNK", 2)
    monkeypatch.setattr(FanOutExpander, "wake", lambda _: None)
    async with open_api(settings_for(tmp_path, fanout_inline_max=1)) as api:
        await asyncio.sleep(0.05)
        yield api


def expander(api: Api, notify: Notify = lambda signal: None) -> FanOutExpander:
    """Another process's, whose catalogue is as yet empty."""
    catalogue = Catalogue(api.store.records, api.services.subscriptions._codec.decode)
    return FanOutExpander(api.store.intake, catalogue, api.clock, notify)


@asynccontextmanager
async def running(*expanders: FanOutExpander) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(expander.run()) for expander in expanders]
    yield
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def made(api: Api, count: int) -> None:
    """Return once there are so many deliveries and no more is to be made."""

    async def all_there() -> bool:
        api.clock.advance(YIELD_SECONDS)
        return not await api.store.intake.fan_outs(1)

    await api.until(all_there)
    found = await api.store.archive.deliveries("default", DeliveryQuery(), Page(200))
    assert len(found.items) == count
    assert len({(delivery.event_id, delivery.subscription_id) for delivery in found.items}) == count


async def test_an_expander_knows_every_subscription_that_was_there_when_the_event_was_accepted(api: Api) -> None:
    for _ in range(SUBSCRIPTIONS):
        await api.subscribe()
    await api.publish()
    async with running(expander(api)):
        await made(api, SUBSCRIPTIONS)


async def test_several_expanders_make_each_delivery_once(api: Api) -> None:
    for _ in range(SUBSCRIPTIONS):
        await api.subscribe()
    for _ in range(4):
        await api.publish()
    async with running(expander(api), expander(api), expander(api)):
        await made(api, SUBSCRIPTIONS * 4)


class BrokenIntake(SqliteIntake):
    """Fails for one event, as a defect that depends on its content would."""

    broken = ""

    async def expand(self, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None) -> bool:
        if fan_out.event.id == self.broken:
            raise ValueError
        return await super().expand(fan_out, deliveries, after)


async def test_an_event_that_fails_holds_up_no_other(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.publishing.fanout.EVENTS_AT_ONCE", 1)
    for _ in range(SUBSCRIPTIONS):
        await api.subscribe()
    monkeypatch.setattr(api.store.intake, "__class__", BrokenIntake)
    monkeypatch.setattr(BrokenIntake, "broken", await api.publish())
    await api.publish()
    with capture_logs() as lines:
        async with running(expander(api)):

            async def the_other_is_done() -> bool:
                left = await api.store.intake.fan_outs(9)
                return [one.event.id for one in left] == [BrokenIntake.broken]

            await api.until(the_other_is_done)
    assert [line["event_id"] for line in lines if line["event"] == "fan_out.failed"] == [BrokenIntake.broken]


async def test_an_expander_goes_on_where_another_died(api: Api) -> None:
    subscriptions = sorted([(await api.subscribe())["id"] for _ in range(SUBSCRIPTIONS)])
    await api.publish()
    (begun,) = await api.store.intake.fan_outs(1)
    await api.store.intake.expand(begun, [], subscriptions[2])
    assert await api.store.intake.fan_outs(1) == [replace(begun, after=subscriptions[2])]
    async with running(expander(api)):
        await made(api, SUBSCRIPTIONS - 3)


async def subscribers(api: Api, event_id: str) -> dict[str, str]:
    """The status of the delivery to each subscription that has one of this event."""
    query = DeliveryQuery(event_id=event_id)
    found = (await api.store.archive.deliveries("default", query, Page(200))).items
    return {delivery.subscription_id: delivery.status for delivery in found}


async def test_deliveries_go_to_the_subscriptions_that_matched_when_the_event_was_accepted(api: Api) -> None:
    matching = [(await api.subscribe())["id"] for _ in range(3)]
    later = (await api.subscribe(event_types=["other.*"]))["id"]
    # A clock that is set back makes all of them look younger than the event.
    api.clock.set_back(3_600)
    event = await api.publish()
    for id_, types in ((matching[0], ["other.*"]), (later, ["*"])):
        changed = await api.admin.patch(f"/v1/subscriptions/{id_}", json={"event_types": types})
        assert changed.status_code == 200
    await api.subscribe()
    async with running(expander(api)):
        await made(api, 3)
    assert set(await subscribers(api, event)) == set(matching)


async def test_the_delivery_to_a_subscription_that_was_deleted_meanwhile_is_cancelled(api: Api) -> None:
    subscriptions = [(await api.subscribe())["id"] for _ in range(2)]
    event = await api.publish()
    assert (await api.admin.delete(f"/v1/subscriptions/{subscriptions[0]}")).status_code == 204
    async with running(expander(api)):
        await made(api, 2)

    async def ended() -> bool:
        await api.dispatcher.sweep()
        return await subscribers(api, event) == {subscriptions[0]: "cancelled", subscriptions[1]: "delivered"}

    await api.until(ended)


async def test_nothing_is_made_of_what_is_left_of_an_event_that_was_cancelled(api: Api) -> None:
    subscriptions = sorted([(await api.subscribe())["id"] for _ in range(3)])
    event = await api.publish(deliver_at="2099-01-01T00:00:00Z")
    (begun,) = await api.store.intake.fan_outs(1)
    await api.store.intake.expand(begun, [NewDelivery("dlv_1", subscriptions[0], "file")], subscriptions[0])
    assert (await api.admin.delete(f"/v1/events/{event}")).status_code == 200
    async with running(expander(api)):
        await made(api, 1)
    assert await subscribers(api, event) == {subscriptions[0]: "cancelled"}


async def test_an_event_of_which_no_match_is_kept_is_for_those_of_its_time_that_match_now(api: Api) -> None:
    subscriptions = [(await api.subscribe())["id"] for _ in range(3)]
    event = await api.publish()
    api.clock.advance(1)
    await api.subscribe()
    await _forget_matches(api.store)
    async with running(expander(api)):
        await made(api, 3)
    assert set(await subscribers(api, event)) == set(subscriptions)


async def _forget_matches(store: Store) -> None:
    assert isinstance(store.intake, SqliteIntake)
    await store.intake._writer.submit(lambda transaction, _: [transaction.change("DELETE FROM matches")], None)


async def test_a_small_fan_out_of_one_tenant_does_not_wait_for_a_huge_one_of_another(api: Api) -> None:
    huge = [(await api.subscribe())["id"] for _ in range(7)]
    other = await api.holder("manage", "events:write", tenant="small")
    small = [(await api.subscribe(other))["id"] for _ in range(2)]
    await api.publish()
    assert (await other.post("/v1/events", json={"type": "stock.low", "data": None})).status_code == 202
    chunks: list[set[str]] = []
    async with running(expander(api, lambda signal: chunks.append(set(signal.due)))):
        await made(api, 7)
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 2, 1]
    assert chunks[0] < set(huge)
    assert chunks[1] == set(small)


async def test_the_events_of_a_tenant_share_its_chunk(api: Api) -> None:
    for _ in range(4):
        await api.subscribe()
    for _ in range(2):
        await api.publish()
    told: list[Signal] = []
    async with running(expander(api, told.append)):
        await made(api, 8)
    assert [len(signal.due) for signal in told] == [1] * 8
