"""Noticing that the server lost what it had: that it came back empty, or older than this process has seen it."""

from collections.abc import Sequence
from datetime import timedelta
from secrets import token_hex
from typing import Any, Final

import structlog

from hub.stores.milliseconds import instant
from hub.stores.redis.client.engine import Engine

SHOWN_FOR: Final = timedelta(days=1)
"""How long a loss is complained of after it was noticed."""
_log = structlog.get_logger("hub.store")


class LossDetection:
    """What this process has seen of the store: its epoch, and its highest feed id. `lua/lib/loss.lua` compares."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._epoch = token_hex(8)
        self._seen = 0

    async def begin(self) -> None:
        """Learn what the store is now."""
        epoch, last = await self._read("epoch", "feed")
        self.hear(epoch, int(last or 0))

    def hear(self, epoch: bytes | None, last: int) -> None:
        """What the store says it is, whoever wrote it: a process that only reads has seen it, too. Data other than
        those seen so far are left for the next write to find."""
        known = epoch.decode() if epoch else None
        if known and self._seen == 0:
            self._epoch = known
        if known == self._epoch:
            # Calls of several kinds are under way at once, and their answers may overtake each other.
            self._seen = max(self._seen, last)

    def arguments(self) -> tuple[str, int]:
        """What a script that writes to the feed is told."""
        return self._epoch, self._seen

    def note(self, epoch: bytes, gone: int, last: int) -> None:
        """What such a script answers: the epoch, how many feed entries it found gone, the last feed id."""
        if gone:
            _log.error("store.data_loss", feed_entries=gone, last_seen=self._seen)
        self._epoch = epoch.decode()
        self.hear(epoch, last)

    async def losses(self) -> Sequence[str]:
        """What any process found lost in the last day, as a sentence for the operator."""
        lost, lost_at = await self._read("lost", "lost_at")
        if not lost or self._engine.clock.now() - instant(int(lost_at)) > SHOWN_FOR:
            return ()
        at = instant(int(lost_at)).isoformat(timespec="seconds")
        told = (
            f"At {at} the Redis server had lost {int(lost)} feed entries, and the events and deliveries that they"
            " tell of: see its persistence (appendonly, appendfsync), and publish again what was accepted shortly"
            " before."
        )
        return (told,)

    async def _read(self, *fields: str) -> Any:
        return await self._engine.ask("HMGET", f"{self._engine.prefix}:meta", *fields)
