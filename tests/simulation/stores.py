"""The stores that are simulated: the model, SQLite, Redis."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random

from hub.models import Delivery
from hub.stores import open_store
from hub.stores.base import DeliveryQuery, Page
from hub.stores.options import StoreOptions
from tests.simulation.contents import Contents
from tests.simulation.loop import SimulatedClock
from tests.simulation.model import (
    ModelArchive,
    ModelChanges,
    ModelIntake,
    ModelQueue,
    ModelRecords,
)
from tests.simulation.process import Ports
from tests.simulation.world import TENANT, OpenPorts


def model() -> OpenPorts:
    """A model that all processes share, as a server."""
    ports: list[Ports] = []

    @asynccontextmanager
    async def opened(clock: SimulatedClock, random: Random) -> AsyncIterator[Ports]:
        if not ports:
            contents = Contents()
            ports.append(
                Ports(
                    shared=True,
                    intake=ModelIntake(contents, clock),
                    queue=ModelQueue(contents, clock, random),
                    archive=ModelArchive(contents),
                    changes=ModelChanges(contents),
                    records=ModelRecords(contents),
                )
            )
        yield ports[0]

    return opened


def sqlite(path: Path) -> OpenPorts:
    """The embedded store in this folder, for one process."""
    return _real(f"sqlite:///{path}/hub.db", shared=False)


def redis(url: str) -> OpenPorts:
    """The store on a server; each process opens it for itself."""
    return _real(url, shared=True)


def _real(url: str, *, shared: bool) -> OpenPorts:
    @asynccontextmanager
    async def opened(clock: SimulatedClock, random: Random) -> AsyncIterator[Ports]:
        async with open_store(url, clock, StoreOptions(shared=shared, random=random)) as store:
            yield Ports(shared, store.intake, store.queue, store.archive, store.changes, store.records)

    def open_(clock: SimulatedClock, random: Random) -> AbstractAsyncContextManager[Ports]:
        return opened(clock, random)

    return open_


async def read_all(ports: Ports) -> Mapping[str, Delivery]:
    """Every delivery that the store has, by id."""
    found: list[Delivery] = []
    page = Page(200)
    while True:
        listing = await ports.archive.deliveries(TENANT, DeliveryQuery(), page)
        found.extend(listing.items)
        if listing.next_cursor is None:
            return {one.id: one for one in reversed(found)}
        page = Page(200, listing.next_cursor)
