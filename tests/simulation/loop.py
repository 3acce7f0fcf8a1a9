"""An event loop whose time is virtual, and a clock that goes by it."""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from hub.clock import Clock, to_millisecond
from hub.testing.clock import START
from hub.testing.patience import PATIENCE_SECONDS

Idle = Callable[[float | None], None]
"""Called when nothing can run, with the seconds until the next timer; None where there is none."""


class StuckOutside(Exception):
    """What a real store was asked to do has not ended in a time that is enough for everything."""


class _Selector(selectors.BaseSelector):
    """Waits for nothing but real stores. Where the loop would sleep it calls `idle` instead."""

    def __init__(self, idle: Callable[[float | None], float]) -> None:
        self._inner = selectors.DefaultSelector()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._inner.select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        wait = self._idle(timeout)
        events = self._inner.select(wait)
        if wait > 0 and not events:
            raise StuckOutside
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Whenever nothing can run it calls `idle`, which makes something happen or moves time by `advance`.

    While `outside` is above 0 a real store is at work, and the loop waits for it in real time.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self.outside = 0
        self.idle: Idle | None = None
        super().__init__(_Selector(self._on_idle))

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def _on_idle(self, timeout: float | None) -> float:
        """For how many seconds to wait for what happens outside."""
        if self.outside or self.idle is None:
            return PATIENCE_SECONDS
        self.idle(timeout)
        return 0.0


BOOT: Final = "simulated"


class SimulatedClock(Clock):
    """The clock of all processes of a simulation; `step` sets the time of day alone."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._stepped = timedelta()

    def now(self) -> datetime:
        return to_millisecond(START + self._stepped + timedelta(seconds=self._loop.time()))

    def monotonic(self) -> float:
        return self._loop.time()

    @property
    def boot(self) -> str:
        return BOOT

    def uptime(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        # The loop wakes what is due within a nanosecond, and while time stands still that would not become less.
        await asyncio.sleep(max(seconds, 1e-6) if seconds > 0 else 0)

    @property
    def by_hand(self) -> bool:
        return True

    def step(self, seconds: float) -> None:
        """Let the time of day jump."""
        self._stepped += timedelta(seconds=seconds)

    @property
    def stepped_seconds(self) -> float:
        """By how much the time of day has jumped."""
        return self._stepped.total_seconds()
