"""Jumps of clocks: while one is not trusted yet, nothing is removed by its age. See docs/decisions/0027."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from hub.clock import Clock
from hub.stores.base import ClockMark, StoreClock
from hub.stores.milliseconds import milliseconds

JUMP_SECONDS: Final = 3_600.0
"""A clock that is off by more, against what has passed, has jumped."""
UNPROVEN_SECONDS: Final = 86_400.0
"""After another boot nothing tells how much has passed. Up to this much is believed."""
HOLD_SECONDS: Final = 86_400.0
"""After this long a clock that has jumped is trusted, if nobody accepted it sooner."""
_log = structlog.get_logger(__name__)


class ClockWatch:
    """What this process sees of its time of day and of the store's time.

    Example:

        watch = ClockWatch(clock, store.clock)
        if (reason := await watch.look()) is None:
            ...  # remove what is old
    """

    def __init__(self, clock: Clock, store_clock: StoreClock) -> None:
        self._clock = clock
        self._store_clock = store_clock
        self._looking = asyncio.Lock()
        self._off_seconds = 0.0
        # Of the time of day alone: it is asked for too often to ask the store, so the uptime stands in its place.
        self._local = self._mark(store=_uptime_ms(clock))

    async def look(self) -> str | None:
        """Compare the clocks with what was seen last, by any process, and keep what is seen now. Gives the sentence of
        `reason`. Raises `Unavailable`."""
        async with self._looking:
            return await self._look()

    async def _look(self) -> str | None:
        last = await self._store_clock.mark()
        mark = seen(last, self._mark(await self._store_clock.now()))
        await self._store_clock.keep(mark)
        self._off_seconds = max(mark.wall_off, mark.store_off, key=abs)
        self._local = replace(mark, store=round(mark.uptime * 1000), store_off=0.0)
        if not mark.trusted and (last is None or last.trusted or mark.held < last.held):
            _log.warning("clock.jumped", time_of_day_seconds=round(mark.wall_off), store_seconds=round(mark.store_off))
        elif mark.trusted and last is not None and not last.trusted:
            _log.info("clock.trusted")
        return reason_of(mark)

    async def reason(self) -> str | None:
        """Why nothing is removed by its age now, as a sentence for the operator; None while clocks are trusted. Raises
        `Unavailable`."""
        mark = await self._store_clock.mark()
        return None if mark is None else reason_of(mark)

    def time_of_day(self) -> datetime:
        """The instant by which an event has expired or not: without a jump that is not trusted yet."""
        self._local = seen(self._local, self._mark(store=_uptime_ms(self._clock)))
        return self._clock.now() - timedelta(seconds=self._local.wall_off)

    @property
    def off_seconds(self) -> float:
        """By how much a clock had jumped that was not trusted yet, when this process looked last; 0 while all are."""
        return self._off_seconds

    def _mark(self, store: int) -> ClockMark:
        return ClockMark(self._clock.boot, self._clock.uptime(), milliseconds(self._clock.now()), store)


def _uptime_ms(clock: Clock) -> int:
    return round(clock.uptime() * 1000)


def seen(last: ClockMark | None, now: ClockMark) -> ClockMark:
    """The mark `now`, with what is off since the last one."""
    if last is None:
        return now
    passed = now.uptime - last.uptime if now.boot == last.boot != "" and now.uptime >= last.uptime else None
    wall_off = _off(last.wall_off, (now.wall - last.wall) / 1000, passed)
    store_off = _off(last.store_off, (now.store - last.store) / 1000, passed)
    jumped = abs(wall_off - last.wall_off) > JUMP_SECONDS or abs(store_off - last.store_off) > JUMP_SECONDS
    held = 0.0 if jumped else last.held + (passed or 0.0)
    if held >= HOLD_SECONDS or (wall_off, store_off) == (0.0, 0.0):
        return now
    return replace(now, wall_off=wall_off, store_off=store_off, held=held)


def reason_of(mark: ClockMark) -> str | None:
    """What `ClockWatch.reason` gives for a mark."""
    named = (("The time of day of this hub", mark.wall_off), ("The time of its store", mark.store_off))
    jumps = [f"{name} jumped {_hours(off)}" for name, off in named if off]
    if not jumps:
        return None
    left = max(round((HOLD_SECONDS - mark.held) / 3_600), 1)
    return (
        f"{'. '.join(jumps)}. Nothing is removed by its age for {left} h, unless it jumps back. If the clock is right"
        " now, run `hub doctor --accept-clock`."
    )


def _off(before: float, moved: float, passed: float | None) -> float:
    """By how many seconds a clock that has moved is off, of which `before` was known."""
    if passed is not None:
        off = before + moved - passed
        return off if abs(off) > JUMP_SECONDS else 0.0
    off = before + moved
    return 0.0 if -JUMP_SECONDS <= off <= UNPROVEN_SECONDS else off


def _hours(off: float) -> str:
    return f"{abs(off) / 3_600:,.0f} h {'ahead' if off > 0 else 'back'}"
