"""What every drill is given: a hub over each store, a receiver and a careful client."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.faults.drill import LEASE_SECONDS, Drill
from tests.faults.hub import Hub, hub_on
from tests.faults.publisher import Publisher
from tests.faults.receiver_process import ReceiverProcess
from tests.redis_servers import RedisServer

HubFactory = Callable[..., Hub]
on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""For what is a matter of this store alone."""
on_redis = pytest.mark.parametrize("store", ["redis"], indirect=True)


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    """The scheme of the store that the hub runs on."""
    return str(request.param)


@pytest.fixture
def server(store: str, request: pytest.FixtureRequest) -> RedisServer | None:
    """The Redis that hubs keep everything in, if that is their store. A drill that harms it has one of its own."""
    shared: RedisServer | None = request.getfixturevalue("valkey") if store == "redis" else None
    return shared


@pytest.fixture
async def hub_factory(server: RedisServer | None, tmp_path: Path) -> AsyncIterator[HubFactory]:
    """Makes hubs, by directory name and settings, that are not started yet; those that still run are killed."""
    hubs: list[Hub] = []

    def make(name: str = "hub", **settings: str) -> Hub:
        hub = hub_on(server, tmp_path / name, {"lease": str(LEASE_SECONDS), **settings})
        hubs.append(hub)
        return hub

    yield make
    for hub in hubs:
        await hub.kill()


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[ReceiverProcess]:
    async with ReceiverProcess(tmp_path / "received.jsonl") as receiver:
        yield receiver


@pytest.fixture
async def drill(
    store: str, server: RedisServer | None, receiver: ReceiverProcess, hub_factory: HubFactory, tmp_path: Path
) -> AsyncIterator[Drill]:
    """A drill whose hub is not started yet."""
    hub = hub_factory()
    async with Publisher(hub, tmp_path / "acked.jsonl") as publisher:
        yield Drill(store, hub, receiver, publisher, server)
