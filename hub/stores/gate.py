"""The rules by which a lane lets deliveries through: its cap, its rate, a pause, and a circuit breaker.

After too many failures in a row the breaker opens and nothing is sent. Then it is half open: one delivery is tried.
When that succeeds, it closes, and the ramp begins: with each success twice as many attempts may be under way. Without
the ramp everything that waited would reach a target that just came back at once. Source of the pattern: M. Nygard,
"Release It!".

The rules are the same on every store (see docs/decisions/0010); a store that keeps its lanes in a server gives these
numbers to its scripts. Instants are seconds of one clock that the caller chooses. They are whole milliseconds, because
callers wait until such an instant as a millisecond: at a fraction later they would wake too early and find nothing.
"""

from dataclasses import replace
from math import ceil, inf
from typing import Final

from hub.stores.base import (
    FASTEST_PER_SECOND,
    SLOWEST_PER_SECOND,
    UNBOUNDED,
    BreakerState,
    HealthMark,
    LanePolicy,
)

THRESHOLD: Final = 10
"""This many failures in a row open the breaker."""
FIRST_OPEN_SECONDS: Final = 2.0
LONGEST_OPEN_SECONDS: Final = 300.0
"""How long it stays open the first time, and at most. The time doubles whenever the one delivery tried fails."""
OPEN_SPREAD: Final = 0.2
"""The part by which an open time is lengthened or shortened at random: lanes that fail together are tried apart."""
CATCH_UP_SECONDS: Final = 0.1
"""Attempts are evenly spaced by the rate. A lane that was late by at most this long may catch up."""
FORGET_SECONDS: Final = 172_800.0
"""A failing lane without an attempt for this long is forgotten. It is longer than any wait between two attempts."""

SLACK_SECONDS: Final = 1e-4
"""How much too early an attempt may start: sums of fractions of seconds are not exact, least of all since 1970."""


class Breaker:
    """Counts failures in a row and says how many attempts may be under way.

    closed → open: `THRESHOLD` failures in a row. open → half open: `open_until` has passed. half open → closed: a
    success, and the ramp begins. half open → open: a failure, and for twice as long.
    """

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""
        self.open_until = -inf
        """When the breaker is, or was, half open after it opened last; `-inf` while it is closed."""
        self._times_opened = 0
        """In a row, without a success between them."""
        self._ramp: int | None = None
        """How many attempts may be under way while the ramp goes on."""

    @property
    def healthy(self) -> bool:
        """Whether it is closed and has no failure to remember."""
        return self.open_until == -inf and self.failures == 0

    @property
    def recovered(self) -> bool:
        """Whether it is healthy and the ramp, if there was one, has ended."""
        return self.healthy and self._ramp is None

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
        self._times_opened = 0
        # Also for an attempt that began before the breaker opened: it shows all the same that the target works.
        if self.open_until != -inf:
            self.open_until = -inf
            self._ramp = 1
        if self._ramp is not None:
            self._ramp *= 2
            if self._ramp >= cap:
                self._ramp = None

    def failed(self, now: float, spread: float) -> None:
        """Count a failure, and open the breaker where the rules say so.

        `spread`, from -1 to 1, lengthens or shortens the open time by that part of `OPEN_SPREAD`.
        """
        self.failures += 1
        state = self.state(now)
        # An attempt that was under way when the breaker opened says nothing new when it fails while it is open.
        if state is BreakerState.HALF_OPEN or (state is BreakerState.CLOSED and self.failures >= THRESHOLD):
            seconds = min(FIRST_OPEN_SECONDS * 2**self._times_opened, LONGEST_OPEN_SECONDS)
            # 2^16 s is far over the longest time; the bound keeps the power small when a target never comes back.
            self._times_opened = min(self._times_opened + 1, 16)
            self.open_until = _whole(now + seconds * (1 + OPEN_SPREAD * spread))


class LaneState:
    """What is under way in a lane, and what keeps it from starting more.

    Room for attempts goes through three steps: `take` reserves it before a store is asked for deliveries, `settle`
    gives back what the store had no delivery for, and `under_way` keeps the rest until a result is written. Without the
    first step, two claims at the same time would both see the same room.
    """

    def __init__(self) -> None:
        self.policy = UNBOUNDED
        self.breaker = Breaker()
        self.under_way: dict[str, int] = {}
        """The token of each delivery that is being tried, by its id."""
        self.reserved = 0
        """Room that was taken for claims whose answer has not come yet."""
        self._paused_until = -inf
        self._spent_until = -inf
        """The instant up to which starts have used up the rate: each start moves it on by 1 / rate seconds."""
        self._touched_at = -inf
        """When attempts last started or ended."""

    def adopt(self, policy: LanePolicy) -> None:
        """Follow this policy from now on.

        What is known of the target's health belongs to its address, and is forgotten with that. An older revision
        comes from a process that has not seen a change of the subscription yet; it is ignored.
        """
        if policy.revision < self.policy.revision:
            return
        if policy.address != self.policy.address:
            self.breaker = Breaker()
            self._paused_until = self._spent_until = -inf
        self.policy = policy
        if (rate := policy.per_second) is not None and not SLOWEST_PER_SECOND <= rate <= FASTEST_PER_SECOND:
            # One over a smaller number is too large to be reckoned with.
            self.policy = replace(policy, per_second=min(max(rate, SLOWEST_PER_SECOND), FASTEST_PER_SECOND))

    # -- what may start ------------------------------------------------------------------------------------------------

    def take(self, limit: int, now: float) -> int:
        """Reserve room for at most `limit` attempts, and give how many. `settle` must follow for each of these."""
        self._touched_at = now
        number = max(0, min(limit, self._room(now)))
        self.reserved += number
        # The rate is used up now and not when the attempts start, so that another claim finds only what is left of it.
        if self.policy.per_second is not None:
            self._spent_until = self._caught_up(self.policy.per_second, now) + number / self.policy.per_second
        return number

    def settle(self, taken: int, used: int) -> None:
        """Of the room for `taken` attempts, `used` became attempts; give back the rest, and its part of the rate."""
        self.reserved -= taken
        if self.policy.per_second is not None:
            self._spent_until -= (taken - used) / self.policy.per_second

    def not_before(self, now: float) -> float:
        """The first instant at which the pause, the open breaker and the rate allow an attempt to start."""
        at = max(self._paused_until, self.breaker.open_until)
        if (rate := self.policy.per_second) is not None and self._spent_until != -inf:
            # Half of the slack that `_room` allows, so that rounding cannot make it refuse at this very instant.
            at = max(at, _whole(self._spent_until + 1 / rate - SLACK_SECONDS / 2))
        return at

    def full(self, now: float) -> bool:
        """Whether an attempt has to end before another may start."""
        return len(self.under_way) + self.reserved >= self.breaker.allowance(self.policy.max_in_flight, now)

    def idle(self, now: float) -> bool:
        """Whether nothing is under way and there is nothing to remember: a new lane would behave the same."""
        if self.under_way or self.reserved:
            return False
        # A subscription that gets no more events would keep a failing lane in memory until the process ends.
        if now - self._touched_at >= FORGET_SECONDS:
            return True
        rate = self.policy.per_second
        recovered = rate is None or self._spent_until <= now + SLACK_SECONDS - _burst_seconds(rate)
        return recovered and self._paused_until <= now and self.breaker.recovered

    def _room(self, now: float) -> int:
        if now < self._paused_until:
            return 0
        room = self.breaker.allowance(self.policy.max_in_flight, now) - len(self.under_way) - self.reserved
        if (rate := self.policy.per_second) is not None:
            room = min(room, int((now + SLACK_SECONDS - self._caught_up(rate, now)) * rate))
        return room

    def _caught_up(self, per_second: float, now: float) -> float:
        # What a quiet lane did not use is lost, except for this short time: otherwise it could send all of it at once.
        return max(self._spent_until, now - _burst_seconds(per_second))

    # -- what an attempt came to ---------------------------------------------------------------------------------------

    def is_at(self, address: str | None) -> bool:
        """Whether the lane's target is still where an attempt was made; None is anywhere."""
        return address is None or address == self.policy.address

    def record(self, mark: HealthMark, now: float, spread: float) -> None:
        """Record what an attempt that ended says of the target's health; for `spread` see `Breaker.failed`."""
        self._touched_at = now
        if mark is HealthMark.GOOD:
            self.breaker.succeeded(self.policy.max_in_flight)
        elif mark is HealthMark.BAD:
            self.breaker.failed(now, spread)

    def pause(self, until: float) -> None:
        """Start no attempt before `until`, as the target asked for."""
        self._paused_until = max(self._paused_until, _whole(until))


def _burst_seconds(per_second: float) -> float:
    """How long a lane may be behind its rate and still catch up."""
    return 1 / per_second + CATCH_UP_SECONDS


def _whole(seconds: float) -> float:
    """Rounded up to a whole millisecond, unless it is less than a hundredth of one over it."""
    return ceil(seconds * 1000 - 0.01) / 1000
