"""What an operator may set for a store besides its address."""

from dataclasses import dataclass, field
from random import Random, SystemRandom

from hub.failpoints import Failpoint, failpoints
from hub.stores.unreadable import Unreadable

INERT = failpoints("")


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """`failpoint` is called around commits with `before_accept`, `after_claim` and so on, for drills that crash there.

    A store with replicas answers a publish only when `wait_replicas` of them have it. When they do not have it within
    `wait_seconds`, it raises `Unavailable`.

    With `shared` several processes are to use the store. One for a single process must refuse that, before it locks
    anything: otherwise the processes would name one another as the one that is in the way.

    `unreadable` is told of what is passed over because it cannot be read.
    """

    failpoint: Failpoint = INERT
    wait_replicas: int = 0
    wait_seconds: float = 1.0
    shared: bool = False
    unreadable: Unreadable = field(default_factory=Unreadable)
    random: Random = field(default_factory=SystemRandom)
    """Spreads the open times of breakers; a simulation gives its own, so that it can be repeated."""
