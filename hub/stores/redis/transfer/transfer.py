"""Moving everything that the Redis store holds into another store, and from another into it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import product
from typing import Final

from hub.models import Outcome
from hub.stores.base import CopyState, Piece, Section, Transfer
from hub.stores.copy_state import COMPLETED, begun, copy_state
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.codec import fields
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.selection import STORED
from hub.stores.redis.transfer.exporter import Exporter
from hub.stores.redis.transfer.importer import Importer

_AT_ONCE: Final = 1_000


class RedisTransfer(Transfer):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)
        exporter, importer = Exporter(engine), Importer(engine)
        self._importer = importer
        self._read: Mapping[Section, Callable[[str, int], Awaitable[Piece]]] = {
            Section.COUNTERS: exporter.counters,
            Section.RECORDS: exporter.records,
            Section.EVENTS: exporter.events,
            Section.EVENT_CHANGES: exporter.changes,
            Section.IDEMPOTENCY: exporter.idempotency,
            Section.TASKS: exporter.tasks,
            Section.FEED: exporter.feed,
        }
        self._write: Mapping[Section, Callable[[Piece], Awaitable[None]]] = {
            Section.COUNTERS: importer.counters,
            Section.RECORDS: importer.records,
            Section.EVENTS: importer.events,
            Section.EVENT_CHANGES: importer.changes,
            Section.IDEMPOTENCY: importer.idempotency,
            Section.TASKS: importer.tasks,
            Section.FEED: importer.feed,
        }

    async def totals(self) -> Mapping[str, int]:
        keys = self._keys
        tenants = [name.decode() for name in await self._engine.ask("SMEMBERS", keys.tenants)]
        sets = await self._engine.ask_all([("SMEMBERS", keys.channels(tenant)) for tenant in tenants])
        cells = [(tenant, name.decode()) for tenant, names in zip(tenants, sets, strict=True) for name in names]
        return {
            Section.RECORDS: await self._engine.ask("HLEN", keys.records),
            Section.EVENTS: await self._sum([keys.events(tenant) for tenant in tenants]),
            "deliveries": await self._sum([keys.by_status(t, c, s) for (t, c), s in product(cells, STORED)]),
            "attempts": await self._sum([keys.attempts(t, c, o) for (t, c), o in product(cells, Outcome)]),
            Section.EVENT_CHANGES: await self._engine.ask("HLEN", keys.changes),
            Section.IDEMPOTENCY: await self._sum([keys.expiring]),
            Section.TASKS: await self._sum([keys.unfinished, keys.ended]),
            Section.FEED: await self._feed_entries(),
        }

    async def read(self, section: Section, after: str, limit: int) -> Piece:
        return await self._read[section](after, limit)

    async def state(self) -> CopyState | None:
        places = fields(await self._engine.ask("HGETALL", self._keys.transfer))
        return copy_state({section: place.decode() for section, place in places.items()})

    async def begin(self, source_mark: str, counters: Sequence[bytes]) -> None:
        await self.write(*begun(source_mark, counters))

    async def write(self, section: Section, piece: Piece) -> None:
        # Each script writes the place together with its documents, so neither is ever kept without the other.
        if piece.documents:
            await self._write[section](piece)
        else:
            await self._importer.end(section, piece)

    async def complete(self) -> None:
        await self.write(*COMPLETED)

    async def _sum(self, indexes: list[str]) -> int:
        return sum(await self._engine.ask_all([("ZCARD", index) for index in indexes]))

    async def _feed_entries(self) -> int:
        """How many can be read. After a loss, entries that are left may lie below what counts as trimmed."""
        trimmed = int(await self._engine.ask("HGET", self._keys.meta, "trimmed") or 0)
        kept: int = await self._engine.ask("XLEN", self._keys.feed)
        place = "-"
        while below := await self._engine.ask("XRANGE", self._keys.feed, place, trimmed, "COUNT", _AT_ONCE):
            kept -= len(below)
            place = f"({below[-1][0].decode()}"
        return kept
