"""Keeping this process in step with the others on its store: their signals, and what they changed in the catalogue."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from hub.catalogue.catalogue import Catalogue
from hub.clock import Clock
from hub.cluster.notifier import Notifier
from hub.errors import Unavailable
from hub.stores.base import Signals

LOOK_SECONDS = 1.0
"""Between reads of the catalogue's version, because signals may get lost."""
RETRY_SECONDS = 0.5
GATHER_SECONDS = 0.25
"""The pause after each signal in a process without a worker, which a busy hub would otherwise wake for nothing."""
STALE_SECONDS = 10.0
"""A process that could not read the catalogue for this long is not ready: a key it accepts may have been revoked."""


class Follower:
    """Follows the other processes in two loops, `listen` and `watch`, each of which runs until it is cancelled.

    What others signal goes to the notifier. `on_rollback` is called when the store came back with an older catalogue
    than this process had, as after a restored backup or a lost write: it creates again what every hub has.
    """

    def __init__(
        self,
        signals: Signals,
        catalogue: Catalogue,
        clock: Clock,
        notifier: Notifier,
        *,
        on_rollback: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._signals = signals
        self._catalogue = catalogue
        self._clock = clock
        self._notifier = notifier
        self._on_rollback = on_rollback
        self._read_at = clock.monotonic()

    @property
    def behind_seconds(self) -> float:
        """How long ago this process last had the catalogue as the store has it."""
        return max(0.0, self._clock.monotonic() - self._read_at)

    async def listen(self) -> NoReturn:
        """Act on what other processes signal."""
        while True:
            try:
                signal = await self._signals.next()
                # First the catalogue, then the work: an event may be for a subscription that is new here.
                if signal.catalogue:
                    await self._refresh()
            except Unavailable as error:
                await self._clock.sleep(error.retry_after or RETRY_SECONDS)
                continue
            # A signal that is dropped here is not lost for good: each worker hears the same one by itself, and sweeps.
            if self._notifier.has_subscribers:
                self._notifier.notify(signal)
            else:
                await self._clock.sleep(GATHER_SECONDS)

    async def watch(self) -> NoReturn:
        """Read the catalogue once a second, signal or not."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self._refresh()
            except Unavailable:
                continue

    async def _refresh(self) -> None:
        # The instant before the question counts: what changes while the answer is under way may be missing from it.
        asked_at, version = self._clock.monotonic(), self._catalogue.version
        await self._catalogue.refresh()
        if self._catalogue.version < version and self._on_rollback is not None:
            await self._on_rollback()
        self._read_at = max(self._read_at, asked_at)
