"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count
from secrets import token_hex

from hub.clock import Clock

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class ManualClock(Clock):
    """Wall-clock and monotonic time move together, by `advance` or `elapse` and by nothing else; `set_back` moves the
    former alone. Each clock is a machine of its own that has just started.

    Example:

        clock = ManualClock()
        clock.advance(60)
        clock.monotonic()  # 60.0
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._boot = token_hex(8)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    @property
    def boot(self) -> str:
        return self._boot

    def uptime(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    @property
    def by_hand(self) -> bool:
        return True

    @property
    def sleepers(self) -> int:
        """How many sleeps are under way."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    def advance(self, seconds: float) -> None:
        """Move at once and wake those whose time has come, in order; they run when the loop next turns."""
        target = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            self._elapsed, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
        self._elapsed = target

    async def elapse(self, seconds: float, *, turns: int = 20) -> None:
        """Move from one sleeper's instant to the next, with `turns` of the loop at each, so that a task that sleeps
        in a loop wakes as often as it would in real time."""
        target = self._elapsed + seconds
        while True:
            for _ in range(turns):
                await asyncio.sleep(0)
            upcoming = self._sleepers[0][0] if self._sleepers else target
            if upcoming > target or not self._sleepers:
                break
            self.advance(upcoming - self._elapsed)
        self.advance(target - self._elapsed)

    def set_back(self, seconds: float) -> None:
        """Let the wall clock jump backwards; monotonic time and sleeps do not notice."""
        self._start -= timedelta(seconds=seconds)
