"""The only door to wall-clock and monotonic time; every module that needs time is handed a `Clock`."""

import asyncio
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta


class Clock(ABC):
    """Time as a parameter, so that tests advance it instead of waiting. `SystemClock` is the one of a running hub.

    Example:

        clock: Clock = SystemClock()
        started = clock.monotonic()
        await clock.sleep(0.001)
        clock.now(), clock.monotonic() - started
    """

    @abstractmethod
    def now(self) -> datetime:
        """The current instant, aware, in UTC, to the millisecond."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go backwards; for measuring and for deadlines."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of monotonic time."""

    def agree(self, ahead: timedelta) -> None:  # noqa: B027 - only a clock that measures real time can be wrong
        """Add `ahead` to this machine's time of day from now on: a reference that all machines share is ahead by that
        much. What is monotonic stays as it is. See docs/decisions/0011."""


def to_millisecond(instant: datetime) -> datetime:
    """The instant as stores keep it: what is finer than a millisecond is cut off."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


class SystemClock(Clock):
    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        return to_millisecond(datetime.now(UTC) + self._ahead)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def agree(self, ahead: timedelta) -> None:
        self._ahead = ahead
