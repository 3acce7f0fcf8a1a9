"""The parts of a dispatcher."""

from collections.abc import AsyncIterator

import pytest

from hub.stores.base import Store
from tests.api_support import Api
from tests.clock import ManualClock
from tests.hub.dispatch.hanging import Gate
from tests.hub.dispatch.parts import Parts, make_parts
from tests.receivers import Receiver


@pytest.fixture
def parts(store: Store, clock: ManualClock) -> Parts:
    return make_parts(store, clock)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def under_way(api: Api, gate: Gate) -> AsyncIterator[Receiver]:
    """The receiver that one attempt hangs at, with nothing but the dispatcher at work."""
    await api.services.housekeeping.stop(0)
    async with Receiver(gate) as receiver:
        await api.subscribe(event_types=["stock.low"], channel="webhook", target={"url": receiver.url})
        await api.publish("stock.low")
        await receiver.arrived(1)
        yield receiver
        gate.opened.set()
