"""Reading back what happened, from Redis."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.models import Attempt, Delivery, Event, Status
from hub.stores.base import LIST_STEP, SEARCH_STEP, Archive, DeliveryQuery, EventQuery, Listing, Page, Stats, TextSearch
from hub.stores.paging import fitting, listing, searched
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.codec import (
    DELIVERY_FIELDS,
    attempt_from,
    delivery_from,
    event_from,
    fields,
    pack,
    unpack_event,
)
from hub.stores.redis.keyspace.index_scan import (
    STEP,
    at_of,
    at_once,
    cursor_at,
    from_instant,
    id_of,
    newest,
    parts,
    until_instant,
    until_page,
)
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script
from hub.stores.redis.keyspace.selection import STORED, IndexSelection, of_deliveries, of_events
from hub.stores.redis.stats import read_stats
from hub.stores.search import beginning_with, finder
from hub.stores.stored import StoredEvent
from hub.stores.unreadable import READ_ERRORS

_DOCUMENTS_AT_ONCE: Final = 16
"""Few, because events may be large."""
_STATES: Final = ":s:"
_DELIVERIES: Final = ":d:"
"""What stands between prefix and id in the names of the hashes that are looked at."""
_SELECT: Final = script("select")
_COUNT: Final = script("count")


@dataclass(slots=True)
class _LookedAt:
    """How far one call has come in the indexes."""

    count: int = 0
    last: tuple[int, str] | None = None
    end: tuple[int, str] | None = None
    """Where it ended before the end of the indexes."""

    def add(self, members: Sequence[bytes]) -> None:
        self.count += len(members)
        self.last = at_of(members[-1]), id_of(members[-1])


class RedisArchive(Archive):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)

    # -- events ------------------------------------------------------------------------------------------------------

    async def event(self, tenant: str, event_id: str) -> Event | None:
        found = await self._events([event_id])
        return found[0] if found and found[0].tenant == tenant else None

    async def events(self, tenant: str, query: EventQuery, page: Page) -> Listing[Event]:
        low, high = from_instant(query.since), until_page(page, query.until)
        selection = of_events(self._keys, tenant, query)
        if query.search is not None:
            return await self._search_events(query.search, selection, low, high, page)
        found: list[Event] = []
        looked_at = _LookedAt()
        async with aclosing(self._selected(selection, _STATES, low, high, page.limit + 1, looked_at)) as scan:
            async for ids in scan:
                for some in parts(ids, min(page.limit + 1, _DOCUMENTS_AT_ONCE)):
                    found += await self._events(some)
                    if len(found) > min(page.limit, fitting(map(_size, found), page).limit):
                        return _page_of_events(found, page)
        return searched(_page_of_events(found, page), looked_at.end)

    async def _events(self, ids: Sequence[str]) -> list[Event]:
        """The events of these ids that exist and can be read."""
        commands = [c for i in ids for c in (("GET", self._keys.event(i)), ("HGET", self._keys.state(i), "cancelled"))]
        replies = await self._engine.ask_all(commands)
        found = zip(ids, replies[::2], replies[1::2], strict=True)
        return [event for row in found if (event := self._readable(*row)) is not None]

    def _readable(self, id_: str, document: bytes | None, cancelled: bytes | None) -> Event | None:
        try:
            return None if document is None else event_from(document, cancelled)
        except READ_ERRORS as error:
            self._engine.unreadable.note("event", id_, error)
            return None

    # -- deliveries --------------------------------------------------------------------------------------------------

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None:
        found = await self._deliveries([delivery_id])
        return found[0] if found and found[0].tenant == tenant else None

    async def deliveries(self, tenant: str, query: DeliveryQuery, page: Page) -> Listing[Delivery]:
        low, high = from_instant(query.since), until_page(page, query.until)
        selection = await self._selection(tenant, query)
        if query.search is not None:
            return await self._search_deliveries(query, query.search, selection, low, high, page)
        found: list[Delivery] = []
        looked_at = _LookedAt()
        async with aclosing(self._selected(selection, _DELIVERIES, low, high, page.limit + 1, looked_at)) as scan:
            async for ids in scan:
                for some in parts(ids, page.limit + 1):
                    # A delivery may have left the status since its index was read.
                    found += [d for d in await self._deliveries(some) if query.status in (None, d.status)]
                    if len(found) > page.limit:
                        return _page_of_deliveries(found, page)
        return searched(_page_of_deliveries(found, page), looked_at.end)

    async def attempts(self, tenant: str, delivery_id: str) -> Sequence[Attempt]:
        keys = self._keys
        # Read as one: an attempt that is replaced may move from one hash to the other.
        commands = [("HGETALL", keys.delivery(delivery_id)), ("HGETALL", keys.attempts_of(delivery_id))]
        short, long = (fields(reply) for reply in await at_once(self._engine, commands))
        if short.get("ten") != tenant.encode():
            return []
        numbered = {int(name): packed for name, packed in {**short, **long}.items() if name.isdigit()}
        found = []
        for number in sorted(numbered):
            try:
                found.append(attempt_from(number, numbered[number]))
            except READ_ERRORS as error:
                self._engine.unreadable.note("attempt", f"{delivery_id}:{number}", error)
        return found

    # -- searching ---------------------------------------------------------------------------------------------------

    async def _search_events(
        self, search: TextSearch, selection: IndexSelection, low: str, high: str, page: Page
    ) -> Listing[Event]:
        ids, end = await self._step(selection, _STATES, low, high)
        found: list[Event] = []
        for some in parts(ids, _DOCUMENTS_AT_ONCE):
            matching = await self._matching(search, some)
            found += await self._events([id_ for id_ in some if id_ in matching])
            if len(found) > page.limit:
                break
        return searched(_page_of_events(found, page), end)

    async def _search_deliveries(
        self, query: DeliveryQuery, search: TextSearch, selection: IndexSelection, low: str, high: str, page: Page
    ) -> Listing[Delivery]:
        ids, end = await self._step(selection, _DELIVERIES, low, high)
        begins, found = beginning_with(search), []
        for some in parts(ids, _DOCUMENTS_AT_ONCE):
            events = await self._engine.ask_all([("HGET", self._keys.delivery(id_), "evt") for id_ in some])
            matching = await self._matching(search, sorted({event.decode() for event in events if event}))
            wanted = [i for i, e in zip(some, events, strict=True) if begins(i) or (e and e.decode() in matching)]
            found += [d for d in await self._deliveries(wanted) if query.status in (None, d.status)]
            if len(found) > page.limit:
                break
        return searched(_page_of_deliveries(found, page), end)

    async def _step(
        self, selection: IndexSelection, kind: str, low: str, high: str
    ) -> tuple[list[str], tuple[int, str] | None]:
        """The ids that one step of a search looks at, and the position where it ends; None at the end of the list."""
        async with aclosing(newest(self._engine, selection.indexes, low, high, SEARCH_STEP)) as scan:
            members = (await anext(scan, []))[:SEARCH_STEP]
        if not members:
            return [], None
        return await self._wanted(selection, kind, members), (at_of(members[-1]), id_of(members[-1]))

    async def _matching(self, search: TextSearch, events: Sequence[str]) -> set[str]:
        """The ids of those of these events that a search finds."""
        finds = finder(search)
        documents = await self._engine.ask_all([("GET", self._keys.event(id_)) for id_ in events])
        return {id_ for id_, document in zip(events, documents, strict=True) if document and _found(finds, document)}

    # -- numbers -----------------------------------------------------------------------------------------------------

    async def counts(self, tenant: str, query: DeliveryQuery) -> Mapping[str, Mapping[Status, int]]:
        # What only the hash of each delivery knows costs a look at each; the rest is counted in the indexes alone.
        looked_at = (query.event_id, query.channel, None if query.type == "*" else query.type)
        if any(value is not None for value in looked_at):
            return await self._count_each(tenant, query)
        return await self._count_lanes(tenant, query)

    async def stats(self, tenant: str, since: datetime, channel: str | None) -> Stats:
        return await read_stats(self._engine, tenant, since, channel)

    async def _count_lanes(self, tenant: str, query: DeliveryQuery) -> dict[str, dict[Status, int]]:
        """From the indexes of the lanes only."""
        lanes = {lane.decode() for lane in await self._engine.ask("SMEMBERS", self._keys.lanes(tenant))}
        wanted = lanes if query.subscription_ids is None else lanes & query.subscription_ids
        low, high = from_instant(query.since), until_instant(query.until)
        statuses = [status for status in STORED if query.status in (None, status)]
        counts: dict[str, dict[Status, int]] = {}
        for some in parts(sorted(wanted - query.not_subscription_ids), STEP // len(STORED)):
            cells = [(lane, status) for lane in some for status in statuses]
            commands = [("ZLEXCOUNT", self._keys.by_lane(tenant, *cell), low, high) for cell in cells]
            for (lane, status), count in zip(cells, await at_once(self._engine, commands), strict=True):
                if count:
                    counts.setdefault(lane, {})[status] = count
        return counts

    async def _count_each(self, tenant: str, query: DeliveryQuery) -> dict[str, dict[Status, int]]:
        selection = await self._selection(tenant, query)
        low, high, wanted = from_instant(query.since), until_instant(query.until), pack(selection.wanted)
        counts: dict[str, dict[Status, int]] = {}
        async with aclosing(newest(self._engine, selection.indexes, low, high, STEP)) as scan:
            async for members in scan:
                for some in parts([id_of(member) for member in members], STEP):
                    reply = await self._engine.run(_COUNT, wanted, *some, repeat=True)
                    for lane, status, count in parts(reply, 3):
                        # A status that only a newer version knows is in no answer of this one.
                        if (name := status.decode()) in STORED:
                            of_lane, known = counts.setdefault(lane.decode(), {}), Status(name)
                            of_lane[known] = of_lane.get(known, 0) + count
        return counts

    # -- scanning -----------------------------------------------------------------------------------------------------

    async def _selection(self, tenant: str, query: DeliveryQuery) -> IndexSelection:
        channels = await self._engine.ask("SMEMBERS", self._keys.channels(tenant))
        return of_deliveries(self._keys, tenant, query, [channel.decode() for channel in channels])

    async def _selected(
        self, selection: IndexSelection, kind: str, low: str, high: str, wanted: int, looked_at: _LookedAt
    ) -> AsyncGenerator[list[str], None]:
        """The ids that are selected, newest first, in parts; `kind` stands before an id in the name of its hash.

        Where each has to be looked at, it ends after some `LIST_STEP` of them; `looked_at` says where.
        """
        async with aclosing(newest(self._engine, selection.indexes, low, high, wanted)) as scan:
            async for members in scan:
                for some in parts(members, STEP):
                    if selection.wanted and looked_at.count >= LIST_STEP:
                        looked_at.end = looked_at.last
                        return
                    yield await self._wanted(selection, kind, some)
                    looked_at.add(some)

    async def _wanted(self, selection: IndexSelection, kind: str, members: Sequence[bytes]) -> list[str]:
        """The ids of those of these members of an index that fulfil the rest of the conditions."""
        ids = [id_of(member) for member in members]
        if not selection.wanted:
            return ids
        wanted = pack(selection.wanted)
        return [id_.decode() for id_ in await self._engine.run(_SELECT, wanted, kind, *ids, repeat=True)]

    async def _deliveries(self, ids: Sequence[str]) -> list[Delivery]:
        """The deliveries of these ids that exist and can be read."""
        rows = await self._engine.ask_all([("HMGET", self._keys.delivery(id_), *DELIVERY_FIELDS) for id_ in ids])
        found = []
        for id_, row in zip(ids, rows, strict=True):
            if row[0] is not None:
                try:
                    found.append(delivery_from(id_, row))
                except READ_ERRORS as error:
                    self._engine.unreadable.note("delivery", id_, error)
        return found


def _size(event: Event) -> int:
    return len(event.data)


def _found(finds: Callable[[StoredEvent], bool], document: bytes) -> bool:
    try:
        return finds(unpack_event(document))
    except READ_ERRORS:
        # It is told of where it is read as a whole.
        return False


def _page_of_events(found: Sequence[Event], page: Page) -> Listing[Event]:
    page = fitting(map(_size, found[: page.limit]), page)
    return listing(found, page, lambda event: cursor_at(event.accepted_at, event.id))


def _page_of_deliveries(found: Sequence[Delivery], page: Page) -> Listing[Delivery]:
    return listing(found, page, lambda delivery: cursor_at(delivery.created_at, delivery.id))
