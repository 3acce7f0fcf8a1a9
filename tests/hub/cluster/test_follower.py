"""A process follows the others: what they signal, what they change, and what a store lost that came back older."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.keys.model import NewTenant
from hub.catalogue.keys.service import Keyring
from hub.catalogue.subscriptions import Subscription
from hub.cluster.follower import LOOK_SECONDS, STALE_SECONDS, Follower
from hub.cluster.notifier import Notifier
from hub.errors import Unavailable
from hub.models import FeedEntry, Record
from hub.stores import open_store
from hub.stores.base import Records, Signal, Signals, Store
from hub.testing.clock import ManualClock
from tests.faults.patience import until

ADMIN_KEY = "the-admin-key-of-every-hub-in-these-tests"


class ToldSignals(Signals):
    """Signals that a test tells; an error is raised."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Signal | Unavailable] = asyncio.Queue()

    async def next(self) -> Signal:
        told = await self.queue.get()
        if isinstance(told, Unavailable):
            raise told
        return told


class AwayRecords(Records):
    """Records that can be away, and can be exchanged for those of another store."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.away = False

    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        return await self.records.write(records, feed, expected=expected)

    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        if self.away:
            raise Unavailable("The server is away.", retry_after=1)
        return await self.records.changes(since)


def decode(record: Record) -> Subscription:
    raise AssertionError("no test here has a subscription")


class Following:
    """A process that follows, and another on the same store."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.signals = ToldSignals()
        self.records = AwayRecords(store.records)
        self.catalogue = Catalogue(self.records, decode)
        keys = Keyring(self.catalogue, clock, ADMIN_KEY)
        self.notified: list[Signal] = []
        notifier = Notifier()
        notifier.subscribe(self.notified.append)
        self.follower = Follower(self.signals, self.catalogue, clock, notifier, on_rollback=keys.ensure_default_tenant)
        self.loops = [asyncio.create_task(self.follower.listen()), asyncio.create_task(self.follower.watch())]
        self.other = Keyring(Catalogue(store.records, decode), clock, ADMIN_KEY)

    async def elsewhere(self, tenant: str) -> None:
        """Another process makes a tenant."""
        await self.other.create_tenant(NewTenant(id=tenant, name=tenant))

    async def until(self, tenant: str) -> None:
        """Return once this process knows the tenant."""

        async def known() -> bool:
            return tenant in self.catalogue.tenants

        await until(known, 5, every=0.001)


@pytest.fixture
async def following(store: Store, clock: ManualClock) -> AsyncIterator[Following]:
    following = Following(store, clock)
    await asyncio.sleep(0)
    yield following
    for loop in following.loops:
        loop.cancel()
    await asyncio.gather(*following.loops, return_exceptions=True)


async def test_a_change_that_is_signalled_is_known_before_its_work_is_begun(following: Following) -> None:
    await following.elsewhere("acme")
    signal = Signal({"sub_1": None}, fans_out=True, catalogue=True)
    following.signals.queue.put_nowait(signal)
    await following.until("acme")
    await asyncio.sleep(0)
    assert following.notified == [signal]


async def test_a_change_that_nobody_signalled_is_known_within_a_second(
    following: Following, clock: ManualClock
) -> None:
    await following.elsewhere("acme")
    clock.advance(LOOK_SECONDS)
    await following.until("acme")


async def test_after_trouble_it_listens_and_looks_again(following: Following, clock: ManualClock) -> None:
    following.signals.queue.put_nowait(Unavailable("The server is away.", retry_after=0.5))
    following.signals.queue.put_nowait(Signal({"sub_1": None}))
    following.records.away = True
    await clock.elapse(STALE_SECONDS + 1)
    assert following.follower.behind_seconds > STALE_SECONDS
    assert following.notified == [Signal({"sub_1": None})]
    await following.elsewhere("acme")
    following.records.away = False
    clock.advance(LOOK_SECONDS)
    await following.until("acme")
    assert following.follower.behind_seconds <= LOOK_SECONDS


async def test_a_store_that_lost_the_catalogue_is_followed_and_gets_what_every_hub_has(
    following: Following, clock: ManualClock, tmp_path: Path
) -> None:
    await following.elsewhere("acme")
    clock.advance(LOOK_SECONDS)
    await following.until("acme")
    async with open_store(f"sqlite:///{tmp_path}/older.db", clock) as older:
        following.records.records = older.records
        with capture_logs() as lines:
            clock.advance(LOOK_SECONDS)
            await following.until("default")
        assert [*following.catalogue.tenants] == ["default"]
        assert [line["event"] for line in lines] == ["catalogue.rolled_back"]
        assert [record.id for record in (await older.records.changes(0))[0]] == ["default"]


async def test_readers_that_overtake_each_other_never_take_the_catalogue_back(following: Following) -> None:
    await asyncio.gather(*(following.elsewhere(f"t{number}") for number in range(5)))
    with capture_logs() as lines:
        await asyncio.gather(*(following.catalogue.refresh() for _ in range(10)))
    assert len(following.catalogue.tenants) == 5
    assert lines == []
