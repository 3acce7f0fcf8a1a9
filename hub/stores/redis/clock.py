"""The time of the Redis store, and the mark of clocks in it."""

from typing import Final

from hub.clock import Clock
from hub.stores.base import ClockMark, StoreClock
from hub.stores.clock_mark import accepted, decoded, encoded
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.url import read_address
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script

_NOW: Final = script("now")
_KEEP: Final = script("keep_clock_mark")


class RedisClock(StoreClock):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)

    async def now(self) -> int:
        now: int = await self._engine.run(_NOW, repeat=True)
        return now

    async def mark(self) -> ClockMark | None:
        kept = await self._engine.ask("GET", self._keys.clock_mark)
        return None if kept is None else decoded(kept)

    async def keep(self, mark: ClockMark) -> None:
        await self._engine.run(_KEEP, encoded(mark), repeat=True)


async def accept_clock(url: str, clock: Clock) -> bool:
    """Trust all clocks from now on, as they are; False where they were trusted. Raises `HubError`."""
    engine = Engine(read_address(url), clock)
    try:
        kept = RedisClock(engine)
        if (mark := accepted(await kept.mark())) is None:
            return False
        await kept.keep(mark)
        return True
    finally:
        await engine.close()
