"""Writes documents of another store into Redis. What is there already stays as it is."""

from typing import Final

from hub.stores.base import ItemResult, Piece, Section
from hub.stores.change_documents import decode_change
from hub.stores.documents import (
    Counters,
    EventDocument,
    FeedDocument,
    IdempotencyDocument,
    RecordDocument,
    TaskDocument,
    decode,
)
from hub.stores.redis.changes import RedisEventChanges
from hub.stores.redis.client.connection import Argument
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.scripts import Script
from hub.stores.redis.keyspace import idempotency
from hub.stores.redis.keyspace.codec import pack
from hub.stores.redis.keyspace.scripts import script
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.stores.redis.tasks import RedisTasks
from hub.stores.redis.transfer.event_documents import event_row

_COUNTERS: Final = script("put_counters")
_RECORDS: Final = script("put_records")
_EVENTS: Final = script("put_events")
_KEYS: Final = script("put_keys")
_FEED: Final = script("put_feed")
_REACH: Final = script("transfer_mark")


class Importer:
    """Writes a piece of one section each, and with it where it ended."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks = RedisTasks(engine, LossDetection(engine))
        self._changes = RedisEventChanges(engine)

    async def counters(self, piece: Piece) -> None:
        for counters in decode(piece.documents, Counters):
            await self._put(_COUNTERS, piece, counters.catalogue, counters.feed, counters.trimmed)

    async def records(self, piece: Piece) -> None:
        rows: list[Argument] = []
        for record in decode(piece.documents, RecordDocument):
            rows += (f"{record.kind}\0{record.tenant}\0{record.id}", record.version, record.doc or "")
        await self._put(_RECORDS, piece, *rows)

    async def events(self, piece: Piece) -> None:
        await self._put(_EVENTS, piece, pack([event_row(event) for event in decode(piece.documents, EventDocument)]))

    async def changes(self, piece: Piece) -> None:
        """One by one, because they are few."""
        for document in piece.documents:
            await self._changes.save(decode_change(document))
        await self.end(Section.EVENT_CHANGES, piece)

    async def idempotency(self, piece: Piece) -> None:
        rows: list[Argument] = []
        for kept in decode(piece.documents, IdempotencyDocument):
            verdicts = [ItemResult(*verdict) for verdict in kept.verdicts]
            record = idempotency.record(kept.key, kept.fingerprint, kept.expires_at, verdicts)
            rows += (kept.tenant, idempotency.digest(kept.key), kept.expires_at, record)
        await self._put(_KEYS, piece, *rows)

    async def tasks(self, piece: Piece) -> None:
        """One by one: they are few, and one that is written again stays as it is."""
        for document in decode(piece.documents, TaskDocument):
            await self._tasks.save(document.task())
        await self.end(Section.TASKS, piece)

    async def feed(self, piece: Piece) -> None:
        rows: list[Argument] = []
        for document in decode(piece.documents, FeedDocument):
            rows += (document.id, document.written_at, pack(document.entry))
        await self._put(_FEED, piece, *rows)

    async def end(self, section: Section, piece: Piece) -> None:
        """Nothing but where it ended."""
        await self._engine.run(_REACH, section, piece.after, repeat=True)

    async def _put(self, script: Script, piece: Piece, *rows: Argument) -> None:
        await self._engine.run(script, piece.after, *rows, repeat=True)
