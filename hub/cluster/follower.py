"""Keeping this process in step with the others on its store: their signals, and what they changed in the catalogue."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from hub.catalogue.catalogue import Catalogue
from hub.clock import Clock
from hub.errors import Unavailable
from hub.stores.base import Signal, Signals

LOOK_SECONDS = 1.0
"""Between looks at the catalogue's version, for signals may get lost."""
RETRY_SECONDS = 0.5
GATHER_SECONDS = 0.25
"""Between signals where nobody delivers, so that a busy hub does not wake who has nothing to do."""
STALE_SECONDS = 10.0
"""A process that could not look for so long is not fit to answer: keys may have been revoked."""


class Follower:
    """Runs in two loops, until cancelled. `tell` is for those of this process who deliver, None where nobody does;
    `found` makes again what every hub has, for a store that came back with less than it had."""

    def __init__(
        self,
        signals: Signals,
        catalogue: Catalogue,
        clock: Clock,
        *,
        tell: Callable[[Signal], None] | None,
        found: Callable[[], Awaitable[None]],
    ) -> None:
        self._signals = signals
        self._catalogue = catalogue
        self._clock = clock
        self._tell = tell
        self._found = found
        self._looked_at = clock.monotonic()

    @property
    def behind_seconds(self) -> float:
        """How long ago the catalogue was as the store has it."""
        return max(0.0, self._clock.monotonic() - self._looked_at)

    async def listen(self) -> NoReturn:
        """Act on what other processes signal."""
        while True:
            try:
                signal = await self._signals.next()
                if signal.catalogue:
                    await self._look()
            except Unavailable as error:
                await self._clock.sleep(error.retry_after or RETRY_SECONDS)
                continue
            if self._tell is not None:
                self._tell(signal)
            else:
                await self._clock.sleep(GATHER_SECONDS)

    async def watch(self) -> NoReturn:
        """Look at the catalogue again and again, whether anybody signals or not."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except Unavailable:
                continue

    async def _look(self) -> None:
        asked_at, version = self._clock.monotonic(), self._catalogue.version
        await self._catalogue.refresh()
        if self._catalogue.version < version:
            await self._found()
        self._looked_at = max(self._looked_at, asked_at)
