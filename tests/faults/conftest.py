"""What every drill is given: a hub over each store, a receiver and a careful client."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.faults.drill import Drill
from tests.faults.hub_process import HubProcess
from tests.faults.publisher import Publisher
from tests.faults.receiver_process import ReceiverProcess

HubFactory = Callable[..., HubProcess]


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest) -> str:
    """The scheme of the store that the hub runs on."""
    return str(request.param)


@pytest.fixture
async def hub_factory(store: str, tmp_path: Path) -> AsyncIterator[HubFactory]:
    """Makes hubs, by directory name and settings, that are not started yet; those that still run are killed."""
    hubs: list[HubProcess] = []

    def make(name: str = "hub", **settings: str) -> HubProcess:
        hub = HubProcess(tmp_path / name, settings)
        hubs.append(hub)
        return hub

    yield make
    for hub in hubs:
        await hub.kill()


@pytest.fixture
async def drill(store: str, hub_factory: HubFactory, tmp_path: Path) -> AsyncIterator[Drill]:
    """A drill whose hub is not started yet."""
    hub = hub_factory()
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(ReceiverProcess(tmp_path / "received.jsonl"))
        publisher = await stack.enter_async_context(Publisher(hub, tmp_path / "acked.jsonl"))
        yield Drill(store, hub, receiver, publisher)
