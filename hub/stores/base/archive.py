"""The contract of reading back what happened."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hub.models import Attempt, Delivery, Event, Status
from hub.stores.base.page import Listing, Page

SEARCHED: Final = (("order_id",), ("user_id",), ("customer", "email"))
"""The members of the data of every event that a search looks at, as paths."""
SEARCH_STEP: Final = 500
"""How many events or deliveries one call looks at, at most, when it searches."""
LIST_STEP: Final = 2_000
"""As `SEARCH_STEP`, where conditions are left that no index of the store knows."""
PAGE_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of data the events of a page have, at most. It has one event at least."""


@dataclass(frozen=True, slots=True)
class TextSearch:
    """Events where a text begins with `prefix`; whether an ASCII letter is a capital does not matter.

    The texts are id, `source_id` and subject, the members `SEARCHED` of the data, and those that `members` names, each
    as an event type and a path. A whole number counts as its digits. A delivery is found by its own id as well.
    """

    prefix: str
    members: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class EventQuery:
    """`type` is exact, `order.*` (one or more further segments) or `*`. `since` is included, `until` is not."""

    type: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: TextSearch | None = None


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """All conditions that are given must hold. `not_subscription_ids` excludes these subscriptions."""

    status: Status | None = None
    subscription_ids: frozenset[str] | None = None
    not_subscription_ids: frozenset[str] = frozenset()
    event_id: str | None = None
    channel: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: TextSearch | None = None


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """Counts since an instant; `pending` and `oldest_pending_at` are of now. Latency is the duration of attempts."""

    delivered: int = 0
    failed_attempts: int = 0
    dead: int = 0
    pending: int = 0
    oldest_pending_at: datetime | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    """`p50`, `p90` and `p99` in milliseconds, over at most the newest 4,000 attempts."""


@dataclass(frozen=True, slots=True)
class RecentFailure:
    at: datetime
    delivery_id: str
    event_type: str
    subscription_id: str
    channel: str
    status_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Stats:
    accepted: int
    total: ChannelStats
    channels: Mapping[str, ChannelStats]
    recent_failures: tuple[RecentFailure, ...]
    at_least: bool = False
    """Whether some number is larger than it says, because the store stopped counting."""


class Archive(ABC):
    """Reading back what happened. For a tenant, what belongs to another tenant does not exist.

    One call looks at no more than `LIST_STEP` items, and with `search` at no more than `SEARCH_STEP`. Its page may then
    have fewer items than were asked for, or none, although there is a next one, and `searched_to` says where it ended.
    A page of events that is full of `PAGE_BYTES` has fewer items too, and no `searched_to`. See docs/decisions/0020 and
    docs/decisions/0032.
    """

    @abstractmethod
    async def event(self, tenant: str, event_id: str) -> Event | None: ...

    @abstractmethod
    async def events(self, tenant: str, query: EventQuery, page: Page) -> Listing[Event]: ...

    @abstractmethod
    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None: ...

    @abstractmethod
    async def deliveries(self, tenant: str, query: DeliveryQuery, page: Page) -> Listing[Delivery]: ...

    @abstractmethod
    async def attempts(self, tenant: str, delivery_id: str) -> Sequence[Attempt]:
        """The attempts, ordered by number; empty for an unknown delivery."""

    @abstractmethod
    async def counts(self, tenant: str, query: DeliveryQuery) -> Mapping[str, Mapping[Status, int]]:
        """How many deliveries there are, by subscription id and status; without zeros. `search` does not count."""

    @abstractmethod
    async def stats(self, tenant: str, since: datetime, channel: str | None) -> Stats: ...
