"""Which entries of the feed a listener wants to see."""

from dataclasses import dataclass, field

from hub.catalogue.patterns import patterns_of
from hub.models import FeedEntry, Status


@dataclass(frozen=True, slots=True)
class Selection:
    """All members that are given must hold; an entry that lacks what one of them asks for does not pass.

    `types` are patterns of which one must match the entry's event type or its own name in the stream
    (`delivery.dead`): `order.*` shows order events and their deliveries, `task.*` shows tasks.
    """

    types: tuple[str, ...] = ()
    event_id: str | None = None
    subscription_id: str | None = None
    statuses: frozenset[Status] = frozenset()
    _patterns: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_patterns", frozenset(self.types))

    def passes(self, entry: FeedEntry) -> bool:
        if self.event_id is not None and entry.event_id != self.event_id:
            return False
        if self.subscription_id is not None and entry.subscription_id != self.subscription_id:
            return False
        if self.statuses and entry.status not in self.statuses:
            return False
        # Looked up, however many there are: each entry is held against the selection of each listener.
        return (
            not self._patterns
            or not self._patterns.isdisjoint(patterns_of(entry.kind))
            or (entry.event_type is not None and not self._patterns.isdisjoint(patterns_of(entry.event_type)))
        )
