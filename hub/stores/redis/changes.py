"""Changes to the deliveries of events in Redis."""

from collections.abc import Sequence
from typing import Final

from hub.stores.base import EventChange, EventChanges
from hub.stores.change_documents import decode_change, encode_change
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script

_SAVE: Final = script("save_change")


class RedisEventChanges(EventChanges):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)

    async def save(self, change: EventChange) -> None:
        await self._engine.run(_SAVE, change.id, encode_change(change), repeat=True)

    async def unfinished(self, limit: int) -> Sequence[EventChange]:
        # All of them: they are few, because each goes when it has been made.
        found = map(decode_change, await self._engine.ask("HVALS", self._keys.changes))
        return sorted(found, key=lambda change: (change.requested_at, change.id))[:limit]

    async def end(self, change: EventChange) -> None:
        await self._engine.run(_SAVE, change.id, "", repeat=True)
