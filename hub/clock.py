"""The only door to wall-clock and monotonic time; every module that needs time is handed a `Clock`."""

import asyncio
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

_UPTIME: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Outside of Linux the monotonic clock, which may stand still while the machine sleeps."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""https://www.kernel.org/doc/html/latest/admin-guide/sysctl/kernel.html#random"""


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

    @property
    @abstractmethod
    def boot(self) -> str:
        """Names the start of the machine from which `uptime` counts; empty where that is not known."""

    @abstractmethod
    def uptime(self) -> float:
        """Seconds since that start, whatever is done to the time of day. Unlike `monotonic` it goes on while the
        machine sleeps, and it can be compared with that of an earlier process."""

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


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class SystemClock(Clock):
    def now(self) -> datetime:
        return to_millisecond(datetime.now(UTC))

    def monotonic(self) -> float:
        return time.monotonic()

    @property
    def boot(self) -> str:
        return _boot()

    def uptime(self) -> float:
        return time.clock_gettime(_UPTIME)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
