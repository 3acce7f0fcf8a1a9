"""What housekeeping needs of Redis."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from hub.errors import HubError
from hub.stores.base import Backlog, Removed, Upkeep
from hub.stores.milliseconds import milliseconds
from hub.stores.redis.backlog import read_backlog
from hub.stores.redis.client.connection import Argument
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.scripts import Script
from hub.stores.redis.keyspace.scripts import script
from hub.stores.redis.safety.loss_detection import LossDetection

_PURGE: Final = script("purge")
_PURGE_EXPIRED: Final = script("purge_expired")
_TRIM_FEED: Final = script("trim_feed")
_PROBE: Final = script("write_probe")
_STEP: Final = 250
"""A script that removes this many runs for a few milliseconds, in which the server answers nothing else."""
_TASK_AGE: Final = timedelta(days=7)
_PERSISTENCE: Final = {
    "rdb_last_bgsave_status": "The Redis server could not write its last snapshot; see its log, free disk space.",
    "aof_last_write_status": "The Redis server cannot write its append-only file; see its log, free disk space.",
    "aof_last_bgrewrite_status": "The Redis server could not rewrite its append-only file; see its log.",
}


class RedisUpkeep(Upkeep):
    def __init__(self, engine: Engine, losses: LossDetection) -> None:
        self._engine = engine
        self._losses = losses

    async def purge(self, before: datetime, limit: int) -> Removed:
        room = min(limit, _STEP)
        # `cut`: rows or bytes ended the step, so a small number does not mean that nothing is left.
        removed, cut = await self._engine.run(_PURGE, milliseconds(before), room)
        return Removed(removed, more=cut == 1 or removed == room)

    async def purge_expired(self, limit: int) -> Removed:
        ended_before = milliseconds(self._engine.clock.now() - _TASK_AGE)
        return await self._step(_PURGE_EXPIRED, limit, ended_before)

    async def trim_feed(self, before: datetime, keep: int, limit: int) -> Removed:
        return await self._step(_TRIM_FEED, limit, milliseconds(before), keep)

    async def backlog(self, tenant: str, lanes: Mapping[str, str], held: Collection[str]) -> Mapping[str, Backlog]:
        return await read_backlog(self._engine, tenant, lanes, held)

    async def check(self) -> Sequence[str]:
        try:
            await self._engine.run(_PROBE, repeat=True)
            info = await self._engine.ask("INFO", "persistence")
        except HubError as error:
            return [error.detail]
        # A server may accept writes although it can save none of them.
        states = dict(line.partition(":")[::2] for line in info.decode().splitlines())
        return [sentence for name, sentence in _PERSISTENCE.items() if states.get(name, "ok") != "ok"]

    async def losses(self) -> Sequence[str]:
        return await self._losses.losses()

    async def _step(self, script: Script, limit: int, *args: Argument) -> Removed:
        room = min(limit, _STEP)
        removed: int = await self._engine.run(script, *args, room)
        return Removed(removed, more=removed == room)
