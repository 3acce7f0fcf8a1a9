"""The store's own time: it goes on by the machine's uptime, so a change of the time of day moves nothing that waits.

See docs/decisions/0027.
"""

from math import floor
from typing import Final

from hub.clock import Clock
from hub.stores.base import ClockMark
from hub.stores.milliseconds import milliseconds

_STEADY_MS: Final = 5
"""A smaller difference comes from cutting instants to milliseconds."""


class Timeline:
    """Milliseconds since 1970 as the time of day once had them.

    A new store begins with the time of day. One that is opened again goes on where it was left, by as much as has
    passed: of the same boot the uptime tells, after another only the time of day.

    Example:

        timeline = Timeline(clock, None)
        timeline.now()  # the time of day, until somebody sets it
    """

    def __init__(self, clock: Clock, last: ClockMark | None) -> None:
        """`last` is the mark that was kept last."""
        self._clock = clock
        self._began = clock.uptime()
        self._start = self._resumed(last)

    def now(self) -> int:
        """The hundredth of a millisecond makes up for sums of seconds just short of the next one."""
        return self._start + floor((self._clock.uptime() - self._began) * 1000 + 0.01)

    def wall(self) -> int:
        """The time of day."""
        return milliseconds(self._clock.now())

    def ahead(self) -> int:
        """By how much the time of day is ahead of this time, because somebody set it."""
        ahead = self.wall() - self.now()
        return ahead if abs(ahead) > _STEADY_MS else 0

    def _resumed(self, last: ClockMark | None) -> int:
        wall = self.wall()
        if last is None:
            return wall
        if last.boot == self._clock.boot and self._began >= last.uptime:
            return last.store + floor((self._began - last.uptime) * 1000)
        return last.store + max(wall - last.wall, 0)
