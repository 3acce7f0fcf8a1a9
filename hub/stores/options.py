"""What an operator may ask of a store beside its address."""

from dataclasses import dataclass

from hub.failpoints import Failpoint, failpoints

INERT = failpoints("")


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """`failpoint` is called around commits, with `before_accept`, `after_claim` and so on, for drills that crash there.

    A store with replicas answers a publish only after so many of them have it (`wait_replicas`), or else, after
    `wait_seconds`, raises `Unavailable`.
    """

    failpoint: Failpoint = INERT
    wait_replicas: int = 0
    wait_seconds: float = 1.0
