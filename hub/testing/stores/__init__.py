"""The conformance suite of stores: what every store must do, proved through its ports alone.

The author of a store writes one class, with one fixture that opens it: `open_store`, a `StoreFactory`.

`StoreConformance` is everything that a store owes one process. `SharedStoreConformance` is what a store owes several
processes that use it at once; one that belongs to a single process (`shared=False`) leaves it out. The class of one
port may be used alone while that port is being written. A test that a store cannot pass yet is overridden, and marked
with `pytest.mark.xfail` and the reason.
"""

from hub.testing.stores.archive import ArchiveConformance
from hub.testing.stores.breaker import BreakerConformance
from hub.testing.stores.changes import EventChangesConformance
from hub.testing.stores.clock import ClockConformance
from hub.testing.stores.copied import CopiedStoreConformance
from hub.testing.stores.fan_outs import FanOutConformance
from hub.testing.stores.feed import FeedConformance
from hub.testing.stores.idempotency import IdempotencyConformance
from hub.testing.stores.intake import IntakeConformance
from hub.testing.stores.lanes import LanesConformance
from hub.testing.stores.leases import LeasesConformance
from hub.testing.stores.many_processes import SharedStoreConformance
from hub.testing.stores.queue import QueueConformance
from hub.testing.stores.records import RecordsConformance
from hub.testing.stores.reports import ReportsConformance
from hub.testing.stores.results import ResultsConformance
from hub.testing.stores.schedules import SchedulesConformance
from hub.testing.stores.search import SearchConformance
from hub.testing.stores.suite import OpenStore, StoreFactory, StoreSuite
from hub.testing.stores.tasks import TasksConformance
from hub.testing.stores.tickets import TicketsConformance
from hub.testing.stores.transfer import TransferConformance
from hub.testing.stores.upkeep import UpkeepConformance

__all__ = [
    "ArchiveConformance",
    "BreakerConformance",
    "ClockConformance",
    "CopiedStoreConformance",
    "EventChangesConformance",
    "FanOutConformance",
    "FeedConformance",
    "IdempotencyConformance",
    "IntakeConformance",
    "LanesConformance",
    "LeasesConformance",
    "OpenStore",
    "QueueConformance",
    "RecordsConformance",
    "ReportsConformance",
    "ResultsConformance",
    "SchedulesConformance",
    "SearchConformance",
    "SharedStoreConformance",
    "StoreConformance",
    "StoreFactory",
    "StoreSuite",
    "TasksConformance",
    "TicketsConformance",
    "TransferConformance",
    "UpkeepConformance",
]


class StoreConformance(
    IntakeConformance,
    IdempotencyConformance,
    FanOutConformance,
    EventChangesConformance,
    QueueConformance,
    ResultsConformance,
    LanesConformance,
    BreakerConformance,
    ArchiveConformance,
    SearchConformance,
    FeedConformance,
    RecordsConformance,
    TasksConformance,
    UpkeepConformance,
    ClockConformance,
    LeasesConformance,
    ReportsConformance,
    TicketsConformance,
    SchedulesConformance,
    TransferConformance,
    CopiedStoreConformance,
):
    """Everything that a store owes one process, port by port.

    Example:

        from pathlib import Path

        import pytest

        from hub.stores import open_store
        from hub.testing.clock import ManualClock

        class TestSqliteStore(StoreConformance):
            @pytest.fixture(name="open_store")
            def factory(self, tmp_path: Path, clock: ManualClock) -> StoreFactory:
                return lambda: open_store(f"sqlite:///{tmp_path}/hub.db", clock)
    """
