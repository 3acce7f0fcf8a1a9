"""Events with very many deliveries are expanded once, by whoever comes to it, for every subscription of their time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from hub.catalogue.catalogue import Catalogue
from hub.publishing.fanout import YIELD_SECONDS, FanOutExpander
from hub.stores.base import DeliveryQuery, FanOut, Page
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


async def test_an_expander_goes_on_where_another_died(api: Api) -> None:
    subscriptions = sorted([(await api.subscribe())["id"] for _ in range(SUBSCRIPTIONS)])
    await api.publish()
    (begun,) = await api.store.intake.fan_outs(1)
    await api.store.intake.expand(begun, [], subscriptions[2])
    assert await api.store.intake.fan_outs(1) == [FanOut(begun.event, subscriptions[2])]
    async with running(expander(api)):
        await made(api, SUBSCRIPTIONS - 3)
