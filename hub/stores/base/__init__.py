"""The contracts of a store: narrow ports, each a set of rules that one conformance suite proves on every store.

Every method may raise `Unavailable` (with `retry_after`) when the store cannot answer now: the disk is full, the
database is locked, the server is away. Then nothing of the call was written; only where the server's answer was lost
for good may all of it have been written. A write is as durable as the store promises before its method returns.
Instants are aware UTC, kept to the millisecond.
"""

from hub.stores.base.archive import (
    LIST_STEP,
    PAGE_BYTES,
    SEARCH_STEP,
    SEARCHED,
    Archive,
    ChannelStats,
    DeliveryQuery,
    EventQuery,
    RecentFailure,
    Stats,
    TextSearch,
)
from hub.stores.base.changes import ChangeKind, EventChange, EventChanges
from hub.stores.base.clock import ClockMark, StoreClock
from hub.stores.base.coordination import Leases, Notify, Reports, Schedules, Signal, Signals, Tickets
from hub.stores.base.feed import Feed
from hub.stores.base.intake import (
    AcceptResult,
    Batch,
    BatchEntry,
    FanOut,
    Idempotency,
    Intake,
    ItemResult,
    Match,
    NewDelivery,
)
from hub.stores.base.lanes import (
    FASTEST_PER_SECOND,
    SLOWEST_PER_SECOND,
    UNBOUNDED,
    BreakerState,
    HealthMark,
    LaneClass,
    LaneHealth,
    LanePolicy,
)
from hub.stores.base.page import Listing, Page
from hub.stores.base.queue import Claim, ClaimRequest, ClaimResult, Effect, Queue, Result, WriteOutcome
from hub.stores.base.records import Records
from hub.stores.base.store import Store
from hub.stores.base.tasks import Tasks
from hub.stores.base.transfer import CopyState, Piece, Section, Transfer
from hub.stores.base.upkeep import Backlog, Removed, Upkeep

__all__ = [
    "FASTEST_PER_SECOND",
    "LIST_STEP",
    "PAGE_BYTES",
    "SEARCHED",
    "SEARCH_STEP",
    "SLOWEST_PER_SECOND",
    "UNBOUNDED",
    "AcceptResult",
    "Archive",
    "Backlog",
    "Batch",
    "BatchEntry",
    "BreakerState",
    "ChangeKind",
    "ChannelStats",
    "Claim",
    "ClaimRequest",
    "ClaimResult",
    "ClockMark",
    "CopyState",
    "DeliveryQuery",
    "Effect",
    "EventChange",
    "EventChanges",
    "EventQuery",
    "FanOut",
    "Feed",
    "HealthMark",
    "Idempotency",
    "Intake",
    "ItemResult",
    "LaneClass",
    "LaneHealth",
    "LanePolicy",
    "Leases",
    "Listing",
    "Match",
    "NewDelivery",
    "Notify",
    "Page",
    "Piece",
    "Queue",
    "RecentFailure",
    "Records",
    "Removed",
    "Reports",
    "Result",
    "Schedules",
    "Section",
    "Signal",
    "Signals",
    "Stats",
    "Store",
    "StoreClock",
    "Tasks",
    "TextSearch",
    "Tickets",
    "Transfer",
    "Upkeep",
    "WriteOutcome",
]
