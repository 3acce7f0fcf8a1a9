"""Events with very many deliveries are expanded once, by whoever comes to it, for every subscription of their time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.catalogue.catalogue import Catalogue
from hub.publishing.fanout import YIELD_SECONDS, FanOutExpander
from hub.stores.base import AcceptResult, Batch, DeliveryQuery, FanOut, Idempotency, Intake, NewDelivery, Page
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


def expander(api: Api) -> FanOutExpander:
    """Another process's, whose catalogue is as yet empty."""
    catalogue = Catalogue(api.store.records, api.services.subscriptions._codec.decode)
    return FanOutExpander(api.store.intake, catalogue, api.clock, lambda signal: None)


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


class BrokenIntake(Intake):
    """Fails for one event, as a defect that depends on its content would."""

    def __init__(self, intake: Intake, broken: str) -> None:
        self._intake = intake
        self._broken = broken

    async def expand(self, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None) -> bool:
        if fan_out.event.id == self._broken:
            raise ValueError
        return await self._intake.expand(fan_out, deliveries, after)

    async def fan_outs(self, limit: int) -> Sequence[FanOut]:
        return await self._intake.fan_outs(limit)

    async def accept(self, batch: Batch) -> AcceptResult:
        raise NotImplementedError

    async def recall(self, tenant: str, idempotency: Idempotency) -> AcceptResult | None:
        raise NotImplementedError

    async def cancel(self, tenant: str, event_id: str, at: datetime) -> bool:
        raise NotImplementedError


async def test_an_event_that_fails_holds_up_no_other(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.publishing.fanout.EVENTS_AT_ONCE", 1)
    for _ in range(SUBSCRIPTIONS):
        await api.subscribe()
    broken, _ = await api.publish(), await api.publish()
    catalogue = Catalogue(api.store.records, api.services.subscriptions._codec.decode)
    intake = BrokenIntake(api.store.intake, broken)
    with capture_logs() as lines:
        async with running(FanOutExpander(intake, catalogue, api.clock, lambda signal: None)):

            async def the_other_is_done() -> bool:
                return [one.event.id for one in await api.store.intake.fan_outs(9)] == [broken]

            await api.until(the_other_is_done)
    assert [line["event_id"] for line in lines if line["event"] == "fan_out.failed"] == [broken]


async def test_an_expander_goes_on_where_another_died(api: Api) -> None:
    subscriptions = sorted([(await api.subscribe())["id"] for _ in range(SUBSCRIPTIONS)])
    await api.publish()
    (begun,) = await api.store.intake.fan_outs(1)
    await api.store.intake.expand(begun, [], subscriptions[2])
    assert await api.store.intake.fan_outs(1) == [FanOut(begun.event, subscriptions[2])]
    async with running(expander(api)):
        await made(api, SUBSCRIPTIONS - 3)
