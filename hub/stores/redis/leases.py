"""Rights that one process has at a time, kept in Redis."""

from collections.abc import Collection
from typing import Final

from hub.stores.base import Leases
from hub.stores.milliseconds import milliseconds
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.key_names import KeyNames
from hub.stores.redis.scripts import script

_TAKE: Final = script("acquire_lease")
_RELEASE: Final = script("release_lease")
_FORGOTTEN_SECONDS: Final = 86_400.0
"""The hub's clock says when a right ends; the server forgets it this much later."""


class RedisLeases(Leases):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)

    async def acquire(self, name: str, holder: str, seconds: float) -> int | None:
        span, forgotten = int(seconds * 1000), int((seconds + _FORGOTTEN_SECONDS) * 1000)
        token: int | None = await self._engine.run(_TAKE, name, holder, self._now(), span, forgotten, repeat=True)
        return token

    async def release(self, name: str, holder: str) -> None:
        await self._engine.run(_RELEASE, name, holder, repeat=True)

    async def held(self, names: Collection[str]) -> frozenset[str]:
        ends = await self._engine.ask_all([("HGET", self._keys.lease(name), "until") for name in names])
        now = self._now()
        return frozenset(name for name, end in zip(names, ends, strict=True) if end is not None and int(end) > now)

    async def held_under(self, prefix: str) -> frozenset[str]:
        names = await self._engine.ask("ZRANGEBYSCORE", self._keys.rights, f"({self._now()}", "+inf")
        return frozenset(name for name in map(bytes.decode, names) if name.startswith(prefix))

    def _now(self) -> int:
        return milliseconds(self._engine.clock.now())
