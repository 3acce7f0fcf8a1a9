"""The rules by which a lane lets deliveries through: its cap, its rate, a pause, and a circuit breaker.

After too many failures in a row a lane rests, then one delivery is tried, then twice as many with each success: the
ramp keeps a herd from a target that just came back. Source of the pattern: M. Nygard, "Release It!".

The rules are the same on every store; one that keeps its lanes in a server gives that server these numbers. Instants
are seconds of any one clock that the caller keeps to, in whole milliseconds, so that an instant that is waited for is
reached when it is told.
"""

from math import ceil, inf
from typing import Final

from hub.stores.base import UNBOUNDED, BreakerState, HealthMark, LanePolicy

THRESHOLD: Final = 10
"""So many failures in a row open the breaker."""
FIRST_REST_SECONDS: Final = 2.0
LONGEST_REST_SECONDS: Final = 300.0
"""How long it stays open at first, and at most: twice as long each time that the one delivery fails."""
REST_SPREAD: Final = 0.2
"""Each rest is made longer or shorter by up to this part of it, so that lanes which fail together come back apart."""
CATCH_UP_SECONDS: Final = 0.1
"""Attempts are spaced evenly by their rate; this much time may be caught up with."""
FORGET_SECONDS: Final = 172_800.0
"""A lane in trouble that nobody has tried for so long is forgotten: longer than the longest wait between attempts."""

SLACK_SECONDS: Final = 1e-4
"""An attempt may start so much too early: sums of fractions are not exact, least of all with the seconds since 1970."""


class Breaker:
    """Counts failures in a row and says how many attempts may be under way."""

    def __init__(self) -> None:
        self.failures = 0
        self.open_until = -inf
        """Until when the lane rests, or did last; `-inf` while the breaker is closed."""
        self._rests = 0
        self._ramp: int | None = None

    @property
    def well(self) -> bool:
        """Closed, with no failure to remember."""
        return self.open_until == -inf and self.failures == 0

    @property
    def untroubled(self) -> bool:
        """Well, with no ramp under way."""
        return self.well and self._ramp is None

    def state(self, now: float) -> BreakerState:
        if self.open_until == -inf:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self.open_until else BreakerState.HALF_OPEN

    def allowance(self, cap: int, now: float) -> int:
        """How many attempts may be under way at `now`, at most `cap`."""
        match self.state(now):
            case BreakerState.OPEN:
                return 0
            case BreakerState.HALF_OPEN:
                return 1
            case BreakerState.CLOSED:
                return cap if self._ramp is None else min(cap, self._ramp)

    def succeeded(self, cap: int) -> None:
        self.failures = 0
        self._rests = 0
        if self.open_until != -inf:
            self.open_until = -inf
            self._ramp = 1
        if self._ramp is not None:
            self._ramp *= 2
            if self._ramp >= cap:
                self._ramp = None

    def failed(self, now: float, spread: float) -> None:
        """Attempts that were under way when the breaker opened change nothing when they fail during its rest.

        `spread`, from -1 to 1, says how much longer or shorter a rest is made.
        """
        self.failures += 1
        state = self.state(now)
        if state is BreakerState.HALF_OPEN or (state is BreakerState.CLOSED and self.failures >= THRESHOLD):
            rest = min(FIRST_REST_SECONDS * 2**self._rests, LONGEST_REST_SECONDS)
            self._rests = min(self._rests + 1, 16)
            self.open_until = _whole(now + rest * (1 + REST_SPREAD * spread))


class LaneState:
    """What is under way in a lane, and what holds it back."""

    def __init__(self) -> None:
        self.policy = UNBOUNDED
        self.breaker = Breaker()
        self.under_way: dict[str, int] = {}
        """The token of each delivery that is being tried, by its id."""
        self.reserved = 0
        """Room taken for a claim whose answer is not there yet."""
        self._paused_until = -inf
        self._spent_until = -inf
        self._touched_at = -inf

    def adopt(self, policy: LanePolicy) -> None:
        """Go by this policy from now on.

        With a newer revision what is known of the target's health is forgotten. An older one comes from a process that
        has not heard of the change yet, and is left aside.
        """
        if policy.revision < self.policy.revision:
            return
        if policy.revision > self.policy.revision:
            self.breaker = Breaker()
            self._paused_until = self._spent_until = -inf
        self.policy = policy

    # -- what may start ----------------------------------------------------------------------------------------------

    def take(self, limit: int, now: float) -> int:
        """Take room for at most `limit` attempts, to be settled once it is known how many there are."""
        self._touched_at = now
        number = max(0, min(limit, self._room(now)))
        self.reserved += number
        if self.policy.per_second is not None:
            self._spent_until = self._caught_up(self.policy.per_second, now) + number / self.policy.per_second
        return number

    def settle(self, taken: int, used: int) -> None:
        """Of the room that was taken so much is used; the rest was never spent."""
        self.reserved -= taken
        if self.policy.per_second is not None:
            self._spent_until -= (taken - used) / self.policy.per_second

    def not_before(self, now: float) -> float:
        """The instant before which a pause, the breaker's rest and the rate let nothing start."""
        at = max(self._paused_until, self.breaker.open_until)
        if (rate := self.policy.per_second) is not None and self._spent_until != -inf:
            at = max(at, _whole(self._spent_until + 1 / rate - SLACK_SECONDS / 2))
        return at

    def full(self, now: float) -> bool:
        """Whether an attempt has to end before another may start."""
        return len(self.under_way) + self.reserved >= self.breaker.allowance(self.policy.max_in_flight, now)

    def idle(self, now: float) -> bool:
        """Nothing is under way, and there is nothing to remember."""
        if self.under_way or self.reserved:
            return False
        if now - self._touched_at >= FORGET_SECONDS:
            return True
        rate = self.policy.per_second
        recovered = rate is None or self._spent_until <= now + SLACK_SECONDS - _burst_seconds(rate)
        return recovered and self._paused_until <= now and self.breaker.untroubled

    def _room(self, now: float) -> int:
        if now < self._paused_until:
            return 0
        room = self.breaker.allowance(self.policy.max_in_flight, now) - len(self.under_way) - self.reserved
        if (rate := self.policy.per_second) is not None:
            room = min(room, int((now + SLACK_SECONDS - self._caught_up(rate, now)) * rate))
        return room

    def _caught_up(self, per_second: float, now: float) -> float:
        return max(self._spent_until, now - _burst_seconds(per_second))

    # -- what became of it -------------------------------------------------------------------------------------------

    def note(self, sign: HealthMark, now: float, spread: float) -> None:
        """An attempt ended, and says this of the target's health; for `spread` see `Breaker.failed`."""
        self._touched_at = now
        if sign is HealthMark.GOOD:
            self.breaker.succeeded(self.policy.max_in_flight)
        elif sign is HealthMark.BAD:
            self.breaker.failed(now, spread)

    def pause(self, until: float) -> None:
        """The target wants no attempt before."""
        self._paused_until = max(self._paused_until, _whole(until))


def _burst_seconds(per_second: float) -> float:
    """How far a rate may be behind."""
    return 1 / per_second + CATCH_UP_SECONDS


def _whole(seconds: float) -> float:
    """The first whole millisecond that is not earlier, but for the hundredth of one."""
    return ceil(seconds * 1000 - 0.01) / 1000
