"""Detection of data loss: the server came back empty, or older than this process has seen it.

See docs/decisions/0009.
"""

from collections.abc import Sequence
from datetime import timedelta
from secrets import token_hex
from typing import Any, Final

import structlog

from hub.instants import instant_text
from hub.stores.milliseconds import instant
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script

SHOWN_FOR: Final = timedelta(days=1)
"""For how long a loss is shown after it was noticed."""
_LOSSES: Final = script("read_losses")
_log = structlog.get_logger("hub.store")


class LossDetection:
    """What this process has seen of the store: its epoch, and its highest feed id. `lua/lib/loss.lua` compares."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)
        # The name that the data get from the first write, if they have none.
        self._epoch = token_hex(8)
        self._seen = 0

    async def begin(self) -> None:
        """Read the epoch and the last feed id as they are now."""
        epoch, last = await self._read("epoch", "feed")
        self.hear(epoch, int(last or 0))

    def hear(self, epoch: bytes | None, last: int) -> None:
        """Take in what the store says of itself, also to a process that only reads.

        Data of another epoch are left for the next write to find, because only a script can record a loss.
        """
        known = epoch.decode() if epoch else None
        # Without anything seen there is nothing that could be missing.
        if known and self._seen == 0:
            self._epoch = known
        if known == self._epoch:
            # Calls of several kinds are under way at once, and their answers may overtake each other.
            self._seen = max(self._seen, last)

    def arguments(self) -> tuple[str, int]:
        """The arguments of each script that writes to the feed."""
        return self._epoch, self._seen

    def note(self, epoch: bytes, gone: int, last: int) -> None:
        """Take in the answer of such a script: the epoch, how many feed entries are gone, the last feed id."""
        if gone:
            _log.error("store.data_loss", feed_entries=gone, last_seen=self._seen)
        self._epoch = epoch.decode()
        self.hear(epoch, last)

    async def losses(self) -> Sequence[str]:
        """The loss that any process found within `SHOWN_FOR`, as a sentence for the operator."""
        found = await self._engine.run(_LOSSES, SHOWN_FOR // timedelta(milliseconds=1), repeat=True)
        if found is None:
            return ()
        lost, lost_at = found
        at = instant_text(instant(lost_at), "seconds")
        sentence = (
            f"At {at} the Redis server had lost {lost} feed entries, and the events and deliveries that they"
            " describe: check its persistence (appendonly, appendfsync), and publish again what was accepted shortly"
            " before."
        )
        return (sentence,)

    async def _read(self, *fields: str) -> Any:
        return await self._engine.ask("HMGET", self._keys.meta, *fields)
