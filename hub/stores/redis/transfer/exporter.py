"""Reads Redis as documents, piece by piece."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson

from hub.errors import HubError
from hub.stores.base import Piece
from hub.stores.documents import (
    FOREIGN,
    Counters,
    FeedDocument,
    IdempotencyDocument,
    RecordDocument,
    TaskDocument,
    encode,
)
from hub.stores.paging import cursor_of, position_of
from hub.stores.redis.client.connection import Argument
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.feed import UNREADABLE
from hub.stores.redis.keyspace import idempotency
from hub.stores.redis.keyspace.codec import fields, match_from, unpack_entry
from hub.stores.redis.keyspace.index_scan import at_of, id_of
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.records import READ
from hub.stores.redis.transfer.event_documents import delivery_from_parts, event_from_parts
from hub.stores.stored import StoredFeedEntry, feed_entries
from hub.stores.unreadable import READ_ERRORS

PIECE_BYTES: Final = 1_000_000
PIECE_DELIVERIES: Final = 500


class Exporter:
    """Reads a piece of one section each, after a place, '' for the beginning."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)

    async def counters(self, after: str, limit: int) -> Piece:
        counts = await self._engine.ask("HMGET", self._keys.meta, "version", "feed", "trimmed")
        return Piece([] if after else [encode(Counters(*(int(count or 0) for count in counts)))], "all")

    async def records(self, after: str, limit: int) -> Piece:
        (place,) = position_of(after, str) if after else [""]
        _, _, _, *rows = await self._engine.run(READ, place, limit, repeat=True)
        documents = []
        for member, doc in zip(rows[::2], rows[1::2], strict=True):
            kind, tenant, id_ = id_of(member).split("\0", 2)
            documents.append(RecordDocument(kind, tenant, id_, at_of(member), doc.decode() or None))
        return _piece(documents, after, rows[-2:-1])

    async def changes(self, after: str, limit: int) -> Piece:
        (place,) = position_of(after, str) if after else [""]
        kept: dict[str, bytes] = fields(await self._engine.ask("HGETALL", self._keys.changes))
        found = sorted((id_, document) for id_, document in kept.items() if id_ > place)[:limit]
        return _piece([msgspec.Raw(document) for _, document in found], after, [id_ for id_, _ in found[-1:]])

    async def idempotency(self, after: str, limit: int) -> Piece:
        (place,) = position_of(after, str) if after else [""]
        members = await self._members(self._keys.expiring, place, limit)
        names = [id_of(member).rpartition(":")[::2] for member in members]
        found = await self._engine.ask_all([("GET", self._keys.idempotency(*name)) for name in names])
        documents = []
        for (tenant, _), record in zip(names, found, strict=True):
            if record is not None:
                try:
                    key, fingerprint, expires_at, verdicts = idempotency.fields(record)
                except READ_ERRORS:
                    raise HubError(f"An answer kept with an Idempotency-Key of {tenant} {FOREIGN}") from None
                rows = [(v.index, v.status, v.id, v.problem) for v in verdicts]
                documents.append(IdempotencyDocument(tenant, key, fingerprint, expires_at, rows))
        return _piece(documents, after, members[-1:])

    async def tasks(self, after: str, limit: int) -> Piece:
        """Those that have not ended, and then those that have."""
        indexes = {"unfinished": self._keys.unfinished, "ended": self._keys.ended}
        kind, place = position_of(after, str, str) if after else ["unfinished", ""]
        members = await self._members(indexes[kind], place, limit)
        if not members and kind == "unfinished":
            kind, members = "ended", await self._members(indexes["ended"], "", limit)
        # An id has no space; the index of those that have ended appends one, and more.
        ids = [id_of(member).partition(" ")[0] for member in members]
        found = await self._engine.ask_all([("HGET", self._keys.task(id_), "doc") for id_ in ids])
        documents = [_task(document) for document in found if document is not None]
        return _piece(documents, after, [kind.encode(), *members[-1:]] if members else [])

    async def feed(self, after: str, limit: int) -> Piece:
        # After a loss, entries that are left may lie below what counts as trimmed; no reader gets them any more.
        trimmed = int(await self._engine.ask("HGET", self._keys.meta, "trimmed") or 0)
        (last,) = position_of(after, int) if after else [trimmed]
        rows = await self._engine.ask("XRANGE", self._keys.feed, f"({last}-0", "+", "COUNT", limit)
        documents = [_entry(id_, fields(parts)) for id_, parts in rows]
        return _piece(documents, after, [document.id for document in documents[-1:]])

    async def events(self, after: str, limit: int) -> Piece:
        """Tenant by tenant, as they were accepted."""
        tenant, event, delivery = position_of(after, str, str, str) if after else ["", "", ""]
        if delivery:
            return await self._events(await self._plan(tenant, [event.encode()], delivery), goes_on=True)
        names: list[bytes] = await self._engine.ask("SMEMBERS", self._keys.tenants)
        tenants = sorted(name.decode() for name in names)
        for name in tenants[bisect_left(tenants, tenant) :]:
            place = event if name == tenant else ""
            if members := await self._members(self._keys.events(name), place, min(limit, PIECE_DELIVERIES)):
                return await self._events(await self._plan(name, members, ""), goes_on=False)
        return Piece([], after)

    async def _plan(self, tenant: str, events: Sequence[bytes], delivery: str) -> "_Plan":
        """Which of these events one piece takes, and which of their deliveries after this one."""
        ids = [id_of(event) for event in events]
        commands: list[Sequence[Argument]] = [("STRLEN", self._keys.event(id_)) for id_ in ids]
        bounds = (f"({delivery}", "+", "LIMIT", 0, PIECE_DELIVERIES + 1)
        commands += [("ZRANGEBYLEX", self._keys.deliveries_of(id_), *bounds) for id_ in ids]
        replies = await self._engine.ask_all(commands)
        plan = _Plan(tenant)
        for event, size, sent in zip(events, replies[: len(ids)], replies[len(ids) :], strict=True):
            if not plan.add(event, size, sent):
                break
        return plan

    async def _events(self, plan: "_Plan", *, goes_on: bool) -> Piece:
        keys = self._keys
        ids = [id_of(event) for event, _ in plan.events]
        sent = [id_of(delivery) for _, deliveries in plan.events for delivery in deliveries]
        commands: list[Sequence[Argument]] = [("GET", keys.event(id_)) for id_ in ids]
        commands += [("HGETALL", keys.state(id_)) for id_ in ids]
        commands += [("HGETALL", keys.delivery(id_)) for id_ in sent]
        commands += [("HGETALL", keys.attempts_of(id_)) for id_ in sent]
        replies = iter(await self._engine.ask_all(commands))
        bodies = [next(replies) for _ in ids]
        states = [fields(next(replies)) for _ in ids]
        hashes = [fields(next(replies)) for _ in sent]
        names = [state["match"].decode() for state in states if "match" in state]
        found = await self._engine.ask_all([("HGET", keys.match(name), "to") for name in names])
        matches = {name: match_from(packed) for name, packed in zip(names, found, strict=True) if packed}
        deliveries = {
            id_: delivery_from_parts(id_, parts, fields(next(replies)))
            for id_, parts in zip(sent, hashes, strict=True)
            if parts
        }
        documents = []
        for (event, taken), body, state in zip(plan.events, bodies, states, strict=True):
            of_event = [deliveries[id_] for member in taken if (id_ := id_of(member)) in deliveries]
            match = matches.get(state.get("match", b"").decode())
            document = event_from_parts(id_of(event), plan.tenant, body, state, of_event, match)
            if goes_on:
                document.goes_on, document.event.data = True, ""
            documents.append(encode(document))
        return Piece(documents, plan.end, 0 if goes_on else len(documents))

    async def _members(self, index: str, place: str, limit: int) -> list[bytes]:
        members: list[bytes] = await self._engine.ask("ZRANGEBYLEX", index, f"({place}", "+", "LIMIT", 0, limit)
        return members


class _Plan:
    """What one piece takes of a tenant's events: whole events as long as they fit."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.events: list[tuple[bytes, Sequence[bytes]]] = []
        self.end = ""
        self._bytes = PIECE_BYTES
        self._deliveries = PIECE_DELIVERIES

    def add(self, event: bytes, size: int, sent: Sequence[bytes]) -> bool:
        """Whether there is room for another event after this one."""
        # The first event is always taken: a piece without any would look like the end.
        if self.events and (size > self._bytes or len(sent) > self._deliveries):
            return False
        taken = sent[: self._deliveries]
        self.events.append((event, taken))
        self._bytes -= size
        self._deliveries -= len(taken)
        cut = len(taken) < len(sent)
        self.end = cursor_of(self.tenant, event.decode(), taken[-1].decode() if cut else "")
        return not cut and self._bytes > 0 and self._deliveries > 0


def _piece(documents: Sequence[object], after: str, last: Sequence[bytes | str | int]) -> Piece:
    """`last` is where it ended, empty where nothing was found."""
    place = cursor_of(*(part.decode() if isinstance(part, bytes) else part for part in last)) if last else after
    return Piece(list(map(encode, documents)), place, len(documents))


def _task(document: bytes) -> TaskDocument:
    shown: dict[str, Any] = orjson.loads(document)
    tenant, owner = shown.pop("tenant"), shown.pop("owner")
    return TaskDocument(tenant, owner, msgspec.Raw(orjson.dumps(shown)))


def _entry(id_: bytes, parts: dict[str, bytes]) -> FeedDocument:
    return FeedDocument(int(id_.partition(b"-")[0]), int(parts["at"]), _readable(parts["entry"]))


def _readable(packed: bytes) -> StoredFeedEntry:
    try:
        return unpack_entry(packed)
    except READ_ERRORS:
        # In its place stands an entry of nobody, because ids have no gaps.
        return feed_entries.stored(UNREADABLE)
