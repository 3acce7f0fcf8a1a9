"""Queries as indexes to scan, and the conditions that are left to check in each hash that they lead to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hub.models import Status
from hub.stores.base import DeliveryQuery, EventQuery
from hub.stores.redis.keyspace.key_names import KeyNames

STORED: Final = (Status.PENDING, Status.SENDING, Status.DELIVERED, Status.DEAD, Status.CANCELLED)
_LANES_SCANNED: Final = 100
"""With more lanes than this, the deliveries are picked from all of the tenant's, because each index costs a read."""


@dataclass(frozen=True, slots=True)
class IndexSelection:
    """The `indexes` hold everything that is wanted.

    `wanted`, as `lua/lib/selection.lua` has it, is empty when they hold nothing else.
    """

    indexes: Sequence[str] = ()
    wanted: Mapping[str, Any] = field(default_factory=dict)


def of_events(keys: KeyNames, tenant: str, query: EventQuery) -> IndexSelection:
    index = keys.events(tenant) if query.subject is None else keys.subject(tenant, query.subject)
    return IndexSelection([index], _of_type(query.type))


def of_deliveries(keys: KeyNames, tenant: str, query: DeliveryQuery, channels: Sequence[str]) -> IndexSelection:
    """`channels` are those that the tenant has deliveries of."""
    statuses = [status for status in STORED if query.status in (None, status)]
    lanes, but = query.subscription_ids, query.not_subscription_ids
    if not statuses:
        return IndexSelection()
    wanted = _of_type(query.type)
    if query.event_id is not None:
        equal = {"ten": tenant, "st": query.status, "chan": query.channel}
        return IndexSelection([keys.deliveries_of(query.event_id)], wanted | _equal(equal) | _of_lanes(lanes, but))
    if lanes is not None and len(lanes - but) <= _LANES_SCANNED:
        indexes = [keys.by_lane(tenant, lane, status) for lane in sorted(lanes - but) for status in statuses]
        return IndexSelection(indexes, wanted | _equal({"chan": query.channel}))
    scanned = [channel for channel in channels if query.channel in (None, channel)]
    indexes = [keys.by_status(tenant, channel, status) for channel in scanned for status in statuses]
    return IndexSelection(indexes, wanted | _of_lanes(lanes, but))


def _of_type(pattern: str | None) -> dict[str, Any]:
    """Patterns as `EventQuery.type` has them."""
    if pattern is None or pattern == "*":
        return {}
    return {"prefix": pattern[:-1]} if pattern.endswith(".*") else {"type": pattern}


def _of_lanes(lanes: Collection[str] | None, but: Collection[str]) -> dict[str, Any]:
    only = {} if lanes is None else {"lanes": [*lanes]}
    return only | ({"not_lanes": [*but]} if but else {})


def _equal(fields: Mapping[str, str | None]) -> dict[str, Any]:
    given = {name: value for name, value in fields.items() if value is not None}
    return {"equal": given} if given else {}
