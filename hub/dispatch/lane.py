"""One lane as this process knows it: the states it can be in, and what takes it from one to the next.

Instants are monotonic seconds; `inf` means never.
"""

from dataclasses import dataclass, field
from math import inf
from typing import Final

from hub.dispatch.groups import Group, Pace
from hub.stores.base import ClaimRequest, ClaimResult, LaneClass, LanePolicy

WEIGHTS: Final = {LaneClass.LIVE: 5, LaneClass.RETRY: 2, LaneClass.REPLAY: 1}
"""In how many claims of eight a class goes first, so that none of them keeps another one waiting for good."""
TURNS: Final = tuple(
    class_
    for _, class_ in sorted(
        ((turn + 0.5) / weight, class_) for class_, weight in WEIGHTS.items() for turn in range(weight)
    )
)
"""Which class goes first in one claim after the other: each as evenly spread as its weight allows."""
FULL_SECONDS: Final = 0.1
"""How long to leave a lane alone that other processes keep full, however much becomes due in it."""
FIRST_MISS_SECONDS: Final = 0.05
LONGEST_MISS_SECONDS: Final = 5.0
"""How long to leave a lane alone that keeps saying that something is due and gives nothing; doubled each time."""
SLOW_SECONDS: Final = 1.0
"""A lane whose attempts keep their room for longer than this is slow."""
NEWEST_SHARE: Final = 0.25
"""The part that the newest attempt has in what is known of a lane's pace."""


Turn = tuple[float, int]
"""A lane's place in the queue: when it is ready, and a number that keeps the order in which lanes came."""
NO_TURN: Final[Turn] = (inf, 0)


class State:
    """What this process expects of a lane. Each method gives the state that follows; by default the same one."""

    __slots__ = ()

    ready_at: float
    """When the lane may be asked for."""

    def notified(self, due_at: float) -> "State":
        """A delivery of the lane is due at that instant."""
        return self

    def freed(self, now: float) -> "State":
        """An attempt of the lane ended in this process."""
        return self

    def changed(self, now: float) -> "State":
        """The subscription changed: what the store said before may not hold any more."""
        return self

    def answered(self, now: float, due_at: float, *, full: bool, barred: bool) -> "State":
        """The store answered a claim; `due_at` is when it wants to be asked again."""
        return self


@dataclass(frozen=True, slots=True)
class Idle(State):
    """Nothing is known to be due."""

    ready_at: float = field(default=inf, init=False)

    def notified(self, due_at: float) -> State:
        return Waiting(due_at)


@dataclass(frozen=True, slots=True)
class Waiting(State):
    """Something is due at `ready_at`; from then on the lane is ready, and waits for its turn."""

    ready_at: float

    def notified(self, due_at: float) -> State:
        return Waiting(due_at) if due_at < self.ready_at else self

    def changed(self, now: float) -> State:
        return self.notified(now)


@dataclass(frozen=True, slots=True)
class Asked(State):
    """A claim is under way. What happens meanwhile is kept, because the answer may have been made before it."""

    due_at: float = inf
    was_freed: bool = False
    was_changed: bool = False
    ready_at: float = field(default=inf, init=False)

    def notified(self, due_at: float) -> State:
        return Asked(due_at, self.was_freed, self.was_changed) if due_at < self.due_at else self

    def freed(self, now: float) -> State:
        return self if self.was_freed else Asked(self.due_at, True, self.was_changed)

    def changed(self, now: float) -> State:
        return Asked(self.due_at, self.was_freed, True)

    def answered(self, now: float, due_at: float, *, full: bool, barred: bool) -> State:
        # What came while the claim was under way counts as well. If the answer already included it, the lane is asked
        # for once too often; if it did not, the delivery would otherwise wait for the sweep.
        next_due_at = min(self.due_at, due_at)
        answered: State = _IDLE
        if full:
            answered = Full(now + FULL_SECONDS).notified(next_due_at)
            if self.was_freed:
                answered = answered.freed(now)
        elif barred:
            # Not `next_due_at`: what became due meanwhile is barred as well.
            answered = Barred(due_at)
        elif next_due_at < inf:
            answered = Waiting(next_due_at)
        return answered.changed(now) if self.was_changed else answered


@dataclass(frozen=True, slots=True)
class Barred(State):
    """The rate, a pause, the breaker or repeated misses let nothing start before `ready_at`, whatever becomes due."""

    ready_at: float

    def changed(self, now: float) -> State:
        return Waiting(now)


@dataclass(frozen=True, slots=True)
class Full(State):
    """Something is due, and waits for an attempt of the lane to end.

    The end of an attempt in another process is not heard of here, but what becomes due there is; then the lane is asked
    for again, although not before `not_before`.
    """

    not_before: float
    ready_at: float = inf

    def notified(self, due_at: float) -> State:
        ready_at = max(due_at, self.not_before)
        return Full(self.not_before, ready_at) if ready_at < self.ready_at else self

    def freed(self, now: float) -> State:
        return Waiting(now)

    def changed(self, now: float) -> State:
        return Waiting(now)


@dataclass(frozen=True, slots=True)
class Held(State):
    """Something is due, and the subscription is disabled."""

    ready_at: float = field(default=inf, init=False)

    def notified(self, due_at: float) -> State:
        return Waiting(due_at)

    def changed(self, now: float) -> State:
        return Waiting(now)


# States never change, so that one object of each of these serves all lanes.
_IDLE: Final = Idle()
_ASKED: Final = Asked()
_HELD: Final = Held()


class Lane:
    """What this process knows of one lane, and what it has under way in it.

    A lane is in one of six states:

                 notify              ask             answered
        Idle ────────────▶ Waiting ───────▶ Asked ──────────────▶ Idle, Waiting, Barred or Full
                            ▲ │ │ ▲          │
                            │ │ │ └──────────┘ unanswered
                            │ │ └────────────▶ Held     its subscription is disabled
                            │ └──────────────▶ Full     this process alone has as much under way as it allows
                            │
                            ├── Full           when an attempt of it ends here, or its subscription changes
                            ├── Barred         when its subscription changes
                            └── Held           when its subscription changes, or more is due

    A lane that is barred is ready again when its time has come, and a full one when more became due in it. Both then go
    on as one that is waiting does.
    """

    __slots__ = (
        "_claims",
        "_misses",
        "_quiet_since",
        "breaker_open",
        "counted_as",
        "host",
        "id",
        "in_flight",
        "queued_as",
        "seconds",
        "state",
        "tenant",
        "turn",
    )

    def __init__(self, lane_id: str, tenant: Group, host: Group, seconds: float | None = None) -> None:
        self.id = lane_id
        self.tenant = tenant
        self.host = host
        self.state: State = _IDLE
        self.in_flight = 0
        """Attempts of this process, and the room that a claim under way wants to fill."""
        self.breaker_open = False
        """What the store said last. It bars nothing by itself: the store also says until when the lane is barred."""
        self.turn = NO_TURN
        """Its place in the queue of lanes; any other place that the queue still has does not count."""
        self.queued_as: Pace | None = None
        """Among which of the ready lanes it stands; None while it is not ready."""
        self.counted_as = Pace.UNKNOWN
        """Of which pace the attempts under way count."""
        self.seconds = seconds
        """How long its attempts kept their room, recent ones most; None when none has ended yet."""
        self._quiet_since = 0.0
        """When an attempt of it ended last, or the first of those under way began."""
        self._claims = 0
        self._misses = 0

    @property
    def is_idle(self) -> bool:
        """Nothing is under way in it, and nothing is expected of it."""
        return self.in_flight == 0 and isinstance(self.state, Idle)

    @property
    def is_dormant(self) -> bool:
        """As `is_idle`; or other processes fill it, and only news from them makes it ready again."""
        return self.in_flight == 0 and self.state.ready_at == inf and not isinstance(self.state, Held)

    def pace(self, now: float) -> Pace:
        """How soon it gives room back. One that has given none back for a while is slow, whatever it was before."""
        if self.in_flight and now - self._quiet_since > SLOW_SECONDS:
            return Pace.SLOW
        if self.seconds is None:
            return Pace.UNKNOWN if self.in_flight else Pace.NEW
        return Pace.SLOW if self.seconds > SLOW_SECONDS else Pace.QUICK

    def notify(self, due_at: float) -> None:
        """A delivery of this lane is due then."""
        self.state = self.state.notified(due_at)

    def change(self, now: float) -> None:
        """The subscription of this lane changed."""
        self.state = self.state.changed(now)

    def hold(self) -> None:
        """The subscription of this lane is disabled."""
        self.state = _HELD
        self.turn = NO_TURN

    def fill(self, now: float) -> None:
        """This process alone has as many attempts under way as the subscription allows."""
        self.state = Full(now)
        self.turn = NO_TURN

    def ask(self, slots: int, policy: LanePolicy, now: float) -> ClaimRequest:
        """Ask for at most that many deliveries."""
        if self.in_flight == 0:
            self._quiet_since = now
        self.state = _ASKED
        self.turn = NO_TURN
        first = TURNS[self._claims % len(TURNS)]
        self._claims += 1
        return ClaimRequest(self.id, slots, first, policy)

    def answered(self, result: ClaimResult, now: float, due_in: float, *, given: bool) -> None:
        """What the store said of this lane; `due_in` is `inf` where there is nothing more to ask for."""
        # One miss proves nothing: another process may just have been quicker. From the second on the lane is barred for
        # a while, or this process and the store would go round in a circle without a pause.
        self._misses = 0 if given or due_in > 0 else self._misses + 1
        if missed := self._misses > 1:
            due_in = min(FIRST_MISS_SECONDS * 2.0 ** (self._misses - 2), LONGEST_MISS_SECONDS)
        self.breaker_open = self.id in result.breaker_open
        barred = missed or (due_in < inf and self.id in result.barred)
        self.state = self.state.answered(now, now + max(due_in, 0.0), full=self.id in result.full, barred=barred)

    def unanswered(self, now: float) -> None:
        """The store did not answer, so nothing is known but that something was due."""
        self.state = Waiting(now)

    def bar(self, until: float) -> None:
        """The store cannot answer for this lane, so nothing is asked for it before that instant."""
        self.state = Barred(until)

    def end_attempt(self, now: float, seconds: float) -> None:
        """An attempt of this lane ended in this process, after it had kept its room for that long."""
        known = seconds if self.seconds is None else self.seconds
        self.seconds = known + (seconds - known) * NEWEST_SHARE
        self._quiet_since = now
        self.state = self.state.freed(now)
