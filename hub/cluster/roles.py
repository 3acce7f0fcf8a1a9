"""The roles that a process of the hub plays: one each where many share a store, all of them where it is alone."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """`web` answers requests, `worker` delivers, and of those that are `scheduler` one keeps house."""

    WEB = "web"
    WORKER = "worker"
    SCHEDULER = "scheduler"


EVERY_ROLE: Final = frozenset(Role)
