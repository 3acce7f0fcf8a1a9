"""The catalogue: everything that is registered, in each process's memory and in step with the store.

The store keeps versioned records. A writer names the version that its change was built on, and a reader catches up by
version. So a route reads without I/O, and an event is never matched against a catalogue that is behind. See
docs/decisions/0006.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from hub.catalogue.event_types import EventType
from hub.catalogue.keys.model import Key, Tenant
from hub.catalogue.patterns import PatternIndex
from hub.catalogue.subscriptions import Subscription
from hub.catalogue.subscriptions.unreadable import ForeignTarget
from hub.errors import Conflict, StaleCatalogue
from hub.models import FeedEntry, Kept, Record
from hub.stores.base import Records
from hub.stores.unreadable import READ_ERRORS, Unreadable

WRITE_TRIES = 8
_FOREIGN = (
    "What is stored under this name can be read by another version of the hub only. Change it through a process of that"
    " version, or delete it first."
)
_log = structlog.get_logger(__name__)


class SecretMark(Kept):
    """What is kept of a secret of the operator: nothing but its fingerprint."""

    fingerprint: str


class Catalogue:
    """What is registered, by tenant. `change` is the only way to change it.

    Example:

        await catalogue.refresh()
        for subscription in catalogue.subscribed("default", "order.created"):
            print(subscription.spec.name)
    """

    def __init__(
        self,
        records: Records,
        decode_subscription: Callable[[Record], Subscription],
        unreadable: Unreadable | None = None,
    ) -> None:
        """`unreadable` is told of records that only another version of the hub can read."""
        self._unreadable = unreadable or Unreadable()
        self._records = records
        self._decode_subscription = decode_subscription
        # Writers of one process take turns, because of several that build on the same version only one can win. Reading
        # has a lock of its own: a writer that has lost refreshes while it holds the other.
        self._writing = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._reads_begun = self._read_last = 0
        self._watchers: list[Callable[[str], None]] = []
        self._forget()

    def _forget(self) -> None:
        self._subscriptions: dict[str, Subscription] = {}
        self._by_tenant: dict[str, dict[str, Subscription]] = {}
        self._index: dict[str, PatternIndex[Subscription]] = {}
        self._event_types: dict[tuple[str, str], EventType] = {}
        self.keys: dict[str, Key] = {}
        self.tenants: dict[str, Tenant] = {}
        self.sources: dict[str, Record] = {}
        """By id; `hub.catalogue.sources.service` reads them."""
        self.secrets: dict[str, SecretMark] = {}
        """What is kept of the operator's secrets, by name (`hub.cluster.operator_secrets`)."""
        self._passed_over: dict[tuple[str, str, str], Record] = {}
        self.version = 0

    # -- reading -----------------------------------------------------------------------------------------------------

    def subscription(self, subscription_id: str) -> Subscription | None:
        return self._subscriptions.get(subscription_id)

    def subscription_name(self, subscription_id: str) -> str | None:
        """Its present name; None where the subscription is gone."""
        subscription = self._subscriptions.get(subscription_id)
        return None if subscription is None else subscription.spec.name

    async def existing(self, subscription_ids: Iterable[str]) -> frozenset[str]:
        """Those of these subscriptions that are not deleted. Raises `Unavailable`."""
        asked = frozenset(subscription_ids)
        if not asked <= self._subscriptions.keys():
            # Another process may have made one a moment ago.
            await self.refresh()
        return asked & self._subscriptions.keys()

    def every_subscription(self) -> Iterable[Subscription]:
        """Those of all tenants."""
        return self._subscriptions.values()

    def subscriptions(self, tenant: str) -> Mapping[str, Subscription]:
        """By id."""
        return self._by_tenant.get(tenant, {})

    def subscribed(self, tenant: str, event_type: str) -> Sequence[Subscription]:
        """The tenant's subscriptions with a pattern that matches the type, including disabled ones. Filters are not
        applied."""
        index = self._index.get(tenant)
        if index is None:
            index = PatternIndex((pattern, s) for s in self.subscriptions(tenant).values() for pattern in s.patterns)
            self._index[tenant] = index
        return index.find(event_type)

    def event_type(self, tenant: str, name: str) -> EventType | None:
        """A registered type."""
        return self._event_types.get((tenant, name))

    def event_types(self, tenant: str) -> Iterable[EventType]:
        return (kind for (owner, _), kind in self._event_types.items() if owner == tenant)

    def passed_over(self, kind: str, id_: str, tenant: str | None = None) -> Record | None:
        """The record of this kind and id, of one tenant or of any, where only another version of the hub can read it.

        It is there: it can be deleted, and nothing else may take its place.
        """
        found = (record for record in self._passed_over.values() if (record.kind, record.id) == (kind, id_))
        return next((record for record in found if tenant in (None, record.tenant)), None)

    def refuse_passed_over(self, kind: str, id_: str, tenant: str | None = None) -> None:
        """Raise `Conflict` where only another version of the hub can read what is stored under this id."""
        if self.passed_over(kind, id_, tenant) is not None:
            raise Conflict(_FOREIGN)

    def fingerprint(self, name: str) -> str | None:
        """The fingerprint of the operator's secret of this name."""
        kept = self.secrets.get(name)
        return None if kept is None else kept.fingerprint

    def count_passed_over(self) -> Mapping[str, int]:
        """How many records of each kind cannot be read. Subscriptions are not among them: they are held instead."""
        return Counter(kind for kind, _, _ in self._passed_over)

    def watch(self, changed: Callable[[str], None]) -> None:
        """Call `changed` with the id of each subscription that any process creates, changes or deletes."""
        self._watchers.append(changed)

    # -- changing ----------------------------------------------------------------------------------------------------

    async def change(self, build: Callable[[], tuple[Sequence[Record], Sequence[FeedEntry]]]) -> None:
        """Write, as one, the records and feed entries that `build` makes from the current catalogue.

        `build` is called again when another process wrote in between; it may give nothing, or raise, to write nothing.
        When this returns, this process sees the change. Raises `StaleCatalogue` after eight tries.
        """
        async with self._writing:
            for _ in range(WRITE_TRIES):
                records, feed = build()
                if not records and not feed:
                    return
                try:
                    await self._records.write(records, feed, expected=self.version)
                except StaleCatalogue:
                    await self.refresh()
                    continue
                await self.refresh()
                return
        raise StaleCatalogue("The catalogue is being changed by many callers at once; try again.", retry_after=1)

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """While this is open, this process does not change the catalogue; others may."""
        async with self._writing:
            yield

    async def refresh(self) -> None:
        """Catch up with the store, also after it has lost changes by a restored backup or a failover."""
        begun = self._reads_begun
        async with self._reading:
            # One of those who waited before has read since this one was called for.
            if self._read_last > begun:
                return
            self._reads_begun = number = self._reads_begun + 1
            records, version = await self._records.changes(self.version)
            lost: list[str] = []
            if version < self.version:
                _log.error("catalogue.rolled_back", had_version=self.version, has_version=version)
                records, version = await self._records.changes(0)
                # Whatever was known may be missing in what came back, so every watcher is to look again.
                lost = [*self._subscriptions]
                self._forget()
            for record in records:
                self._apply(record)
            self.version = version
            self._read_last = number
            self._notify_watchers([*lost, *(record.id for record in records if record.kind == "subscription")])

    def _apply(self, record: Record) -> None:
        place = (record.kind, record.tenant, record.id)
        self._passed_over.pop(place, None)
        try:
            self._read(record)
        except READ_ERRORS as error:
            # One record that cannot be read must hide nothing of the others.
            self._passed_over[place] = record
            self._unreadable.note(record.kind, record.id, error)

    def _read(self, record: Record) -> None:
        # A kind that only a newer version knows is passed over.
        match record.kind:
            case "subscription":
                self._apply_subscription(record)
            case "key":
                _put(self.keys, record.id, record, Key.read)
            case "tenant":
                _put(self.tenants, record.id, record, Tenant.read)
            case "event_type":
                _put(self._event_types, (record.tenant, record.id), record, EventType.read)
            case "source":
                _put(self.sources, record.id, record, lambda _: record)
            case "secret":
                _put(self.secrets, record.id, record, SecretMark.read)

    def _apply_subscription(self, record: Record) -> None:
        of_tenant = self._by_tenant.setdefault(record.tenant, {})
        # Built again with the next event of this tenant.
        self._index.pop(record.tenant, None)
        if record.doc is None:
            of_tenant.pop(record.id, None)
            self._subscriptions.pop(record.id, None)
        else:
            made = of_tenant[record.id] = self._subscriptions[record.id] = self._decode_subscription(record)
            if isinstance(made.target, ForeignTarget):
                self._unreadable.note(record.kind, record.id, made.target.held)

    def _notify_watchers(self, subscription_ids: Iterable[str]) -> None:
        for subscription_id in subscription_ids:
            for changed in self._watchers:
                changed(subscription_id)


def _put(place: dict[Any, Any], key: Any, record: Record, decode: Callable[[bytes], Any]) -> None:
    # First what was known goes: where the new form cannot be read, the old one counts no more.
    place.pop(key, None)
    if record.doc is not None:
        place[key] = decode(record.doc)
