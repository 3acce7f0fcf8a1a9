"""Rights that are held within one process."""

from collections.abc import Collection
from itertools import count

from hub.clock import Clock
from hub.stores.base import Leases


class ProcessLeases(Leases):
    """What is held ends with the process, as whoever could hold it does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens = count(1)
        self._held: dict[str, tuple[str, int, float]] = {}
        """By name: the holder, its token, and until when, in monotonic seconds."""

    async def acquire(self, name: str, holder: str, seconds: float) -> int | None:
        self._forget_ended()
        present, token, _ = self._held.get(name, (holder, 0, 0.0))
        if present != holder:
            return None
        token = token or next(self._tokens)
        self._held[name] = holder, token, self._clock.monotonic() + seconds
        return token

    async def release(self, name: str, holder: str) -> None:
        if self._held.get(name, ("",))[0] == holder:
            del self._held[name]

    async def held(self, names: Collection[str]) -> frozenset[str]:
        self._forget_ended()
        return frozenset(names) & self._held.keys()

    async def held_under(self, prefix: str) -> frozenset[str]:
        self._forget_ended()
        return frozenset(name for name in self._held if name.startswith(prefix))

    def _forget_ended(self) -> None:
        now = self._clock.monotonic()
        for name in [name for name, (_, _, until) in self._held.items() if until <= now]:
            del self._held[name]
