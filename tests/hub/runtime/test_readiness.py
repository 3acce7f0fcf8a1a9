"""A process is ready while it is fit for its role; what is amiss elsewhere is told, and is no reason to be avoided."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.subscriptions import Subscription
from hub.cluster.follower import STALE_SECONDS, Follower
from hub.cluster.leadership import LEADER
from hub.cluster.lease import WORKERS, Lease, heartbeat_lease
from hub.cluster.notifier import Notifier
from hub.cluster.roles import EVERY_ROLE, Role
from hub.maintenance.clock_watch import ClockWatch
from hub.models import Record
from hub.runtime.readiness import STALLED_SECONDS, Readiness
from hub.stores.base import Backlog, Removed, Store, Upkeep
from hub.testing.clock import ManualClock
from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.patience import until
from tests.hub.runtime.parts import Start

LOSS = "The server lost three feed entries."


class LossyUpkeep(Upkeep):
    """Of a store that works, and has lost something."""

    async def purge(self, before: datetime, limit: int) -> Removed:
        return Removed(0, more=False)

    async def purge_expired(self, limit: int) -> Removed:
        return Removed(0, more=False)

    async def trim_feed(self, before: datetime, keep: int, limit: int) -> Removed:
        return Removed(0, more=False)

    async def backlog(self, tenant: str, lanes: Mapping[str, str], held: Collection[str]) -> Mapping[str, Backlog]:
        return {}

    async def check(self) -> Sequence[str]:
        return ()

    async def losses(self) -> Sequence[str]:
        return [LOSS]


def no_subscription(record: Record) -> Subscription:
    raise AssertionError("no test here has a subscription")


def readiness(
    store: Store,
    clock: ManualClock,
    *roles: Role,
    upkeep: Upkeep | None = None,
    holds: Sequence[str] = (),
    stalled: float = 0,
) -> Readiness:
    catalogue = Catalogue(store.records, no_subscription)
    follower = Follower(store.signals, catalogue, clock, Notifier())
    watch = ClockWatch(clock, store.clock)
    return Readiness(upkeep or store.upkeep, store.leases, follower, roles, watch, lambda: holds, lambda: stalled)


async def test_one_that_works_is_ready_and_one_that_stops_is_not(store: Store, clock: ManualClock) -> None:
    ready = readiness(store, clock, *EVERY_ROLE)
    assert ([*await ready.reasons()], [*await ready.warnings()]) == ([], [])
    ready.stopping = True
    assert await ready.reasons() == ["The hub is stopping."]


async def test_one_that_could_not_read_the_catalogue_for_a_while_is_not_ready(store: Store, clock: ManualClock) -> None:
    ready = readiness(store, clock, Role.WEB)
    clock.advance(STALE_SECONDS)
    assert await ready.reasons() == []
    clock.advance(1)
    (reason,) = await ready.reasons()
    assert "catalogue" in reason


async def test_one_that_claims_nothing_for_a_while_although_something_is_due_is_not_ready(
    store: Store, clock: ManualClock
) -> None:
    assert await readiness(store, clock, Role.WORKER, stalled=STALLED_SECONDS).reasons() == []
    (reason,) = await readiness(store, clock, Role.WORKER, stalled=STALLED_SECONDS + 1).reasons()
    assert reason.startswith("Deliveries are due, and for 31 s none could be claimed.")


async def test_roles_that_nobody_plays_are_told_of(store: Store, clock: ManualClock) -> None:
    web = readiness(store, clock, Role.WEB)
    assert [warning.partition(":")[0] for warning in await web.warnings()] == [
        "No worker is alive",
        "No scheduler leads",
    ]
    await heartbeat_lease(store.leases, WORKERS, "p1", clock).take()
    assert len(await web.warnings()) == 1
    await Lease(store.leases, LEADER, "p2", clock).take()
    assert await web.warnings() == []
    assert await web.reasons() == []


async def test_what_the_store_lost_is_told_and_is_no_reason_to_be_avoided(store: Store, clock: ManualClock) -> None:
    ready = readiness(store, clock, *EVERY_ROLE, upkeep=LossyUpkeep())
    assert (await ready.reasons(), await ready.warnings()) == ([], [LOSS])


async def test_what_is_held_is_told_and_is_no_reason_to_be_avoided(store: Store, clock: ManualClock) -> None:
    ready = readiness(store, clock, *EVERY_ROLE, holds=["Deliveries are held."])
    assert (await ready.reasons(), await ready.warnings()) == ([], ["Deliveries are held."])


async def test_a_web_process_says_when_nobody_else_is_there_and_is_ready_all_the_same(start: Start) -> None:
    web = await start(Role.WEB)
    alone = await web.client.get("/readyz")
    assert alone.status_code == 200
    assert [warning.split(".")[0].split(":")[0] for warning in alone.json()["warnings"]] == [
        "No worker is alive",
        "No scheduler leads",
    ]
    worker = await start(Role.WORKER, Role.SCHEDULER)

    async def complete() -> bool:
        return bool((await web.client.get("/readyz")).json() == {"status": "ready"})

    await until(complete, PATIENCE_SECONDS)
    assert (await worker.client.get("/readyz")).json() == {"status": "ready"}
    assert (await worker.client.get("/v1/events")).status_code == 404


async def test_a_process_that_stops_is_not_ready(start: Start) -> None:
    worker = await start(Role.WORKER)
    worker.process.begin_stop()
    assert (await worker.client.get("/readyz")).json()["reasons"] == ["The hub is stopping."]
