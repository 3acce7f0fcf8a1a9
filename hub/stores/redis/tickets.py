"""Where open tickets are kept: any web process takes what another one put."""

from datetime import datetime
from typing import Final

from hub.stores.base import Tickets
from hub.stores.milliseconds import milliseconds
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.index_scan import DIGITS
from hub.stores.redis.scripts import script

_PUT: Final = script("put_ticket")
_TAKE: Final = script("take_ticket")
_FORGOTTEN_MS: Final = 3_600_000
"""The hub's clock says when a ticket expires; the server forgets it this much later."""


class RedisTickets(Tickets):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def put(self, digest: str, holder: bytes, expires_at: datetime) -> None:
        ends = milliseconds(expires_at)
        kept_for = max(ends - self._now(), 0) + _FORGOTTEN_MS
        await self._engine.run(_PUT, digest, f"{ends:0{DIGITS}}".encode() + holder, kept_for, repeat=True)

    async def take(self, digest: str) -> bytes | None:
        kept: bytes | None = await self._engine.run(_TAKE, digest)
        return kept[DIGITS:] if kept is not None and int(kept[:DIGITS]) > self._now() else None

    def _now(self) -> int:
        return milliseconds(self._engine.clock.now())
