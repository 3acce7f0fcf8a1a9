"""The roles of a process: all of them in a process that is alone, usually one each where many share a store."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """`web` answers requests, `worker` delivers, and one of all with the role `scheduler` does the housekeeping."""

    WEB = "web"
    WORKER = "worker"
    SCHEDULER = "scheduler"


EVERY_ROLE: Final = frozenset(Role)
