"""An open store: all of its ports."""

from dataclasses import dataclass

from hub.stores.base.archive import Archive
from hub.stores.base.changes import EventChanges
from hub.stores.base.clock import StoreClock
from hub.stores.base.coordination import Leases, Reports, Schedules, Signals, Tickets
from hub.stores.base.feed import Feed
from hub.stores.base.intake import Intake
from hub.stores.base.queue import Queue
from hub.stores.base.records import Records
from hub.stores.base.tasks import Tasks
from hub.stores.base.transfer import Transfer
from hub.stores.base.upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. `shared` says whether other processes may have it open too.

    Example:

        from hub.stores.base import ClaimRequest

        claimed = await store.queue.claim([ClaimRequest("sub_1", limit=8)], {"sub_1": 30.0})
        for claim in claimed.claims:
            print(claim.event.type, await store.archive.attempts("default", claim.delivery.id))
    """

    shared: bool
    intake: Intake
    queue: Queue
    archive: Archive
    changes: EventChanges
    feed: Feed
    records: Records
    tasks: Tasks
    upkeep: Upkeep
    clock: StoreClock
    signals: Signals
    leases: Leases
    reports: Reports
    tickets: Tickets
    schedules: Schedules
    transfer: Transfer
