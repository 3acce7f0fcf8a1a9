"""The only door to wall-clock and monotonic time; every module that needs time is handed a `Clock`."""

import asyncio
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime


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

    @property
    def by_hand(self) -> bool:
        """Whether time stands still until it is moved by hand. A store whose server has a clock of its own then goes by
        this one; see docs/decisions/0027."""
        return False


def to_millisecond(instant: datetime) -> datetime:
    """The instant as stores keep it: what is finer than a millisecond is cut off."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


class SystemClock(Clock):
    def now(self) -> datetime:
        return to_millisecond(datetime.now(UTC))

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
