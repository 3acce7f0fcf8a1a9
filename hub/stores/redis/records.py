"""The catalogue's documents in Redis."""

from collections.abc import Sequence
from secrets import token_hex
from typing import Final

from hub.errors import StaleCatalogue
from hub.models import FeedEntry, Record
from hub.stores.base import Records
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.codec import packed_entry
from hub.stores.redis.keyspace.index_scan import DIGITS, STEP
from hub.stores.redis.keyspace.scripts import script
from hub.stores.redis.safety.loss_detection import LossDetection

_WRITE: Final = script("write_records")
READ: Final = script("read_records")


class RedisRecords(Records):
    def __init__(self, engine: Engine, losses: LossDetection) -> None:
        self._engine = engine
        self._losses = losses

    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        *seen, version = await self._engine.run(
            _WRITE,
            # Names this call, so that it writes once when it is made again.
            token_hex(8),
            *self._losses.arguments(),
            "" if expected is None else expected,
            len(records),
            *(part for record in records for part in (record_name(record), record.doc or b"")),
            *(packed_entry(entry) for entry in feed),
            # Written a second time after others wrote, it would put back what they changed.
            repeat=expected is not None,
        )
        self._losses.note(*seen)
        if version < 0:
            raise StaleCatalogue("The catalogue has changed meanwhile; try again.", retry_after=0.0)
        return int(version)

    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        # Each call of the script reads the version and a part of the records as one. A record that is written between
        # two calls moves to the end of the index, where a later call meets it, so the last version covers everything.
        found: dict[str, Record] = {}
        place = f"{since:0{DIGITS}}".encode() + b"\xff"
        while True:
            version, epoch, last, *rows = await self._engine.run(READ, place, STEP, repeat=True)
            self._losses.hear(epoch, last)
            for member, doc in zip(rows[::2], rows[1::2], strict=True):
                record = _record_from(member, doc)
                found.pop(name := record_name(record), None)
                found[name] = record
            if len(rows) < 2 * STEP:
                return [record for record in found.values() if since or record.doc is not None], int(version)
            place = rows[-2]


def record_name(record: Record) -> str:
    """Its name among the records."""
    return f"{record.kind}\0{record.tenant}\0{record.id}"


def _record_from(member: bytes, doc: bytes) -> Record:
    kind, tenant, id_ = member[DIGITS:].decode().split("\0", 2)
    return Record(kind, tenant, id_, doc or None, int(member[:DIGITS]))  # type: ignore[arg-type] # as it was written
