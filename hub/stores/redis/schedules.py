"""What is remembered of schedules in Redis."""

from collections.abc import Mapping
from typing import Final

from hub.stores.base import Schedules
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.codec import fields
from hub.stores.redis.key_names import KeyNames
from hub.stores.redis.scripts import script

_NOTE: Final = script("record_run")


class RedisSchedules(Schedules):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)

    async def record(self, name: str, run: bytes, token: int) -> bool:
        return bool(await self._engine.run(_NOTE, name, run, token, repeat=True))

    async def runs(self) -> Mapping[str, bytes]:
        return fields(await self._engine.ask("HGETALL", self._keys.schedules))
