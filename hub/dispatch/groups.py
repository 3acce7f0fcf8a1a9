"""Groups of lanes, and how much of a process's room each kind of lane may have.

A lane belongs to a tenant, and to a host: where its target is, or the provider that carries its messages. See
docs/decisions/0029.
"""

from enum import IntEnum
from typing import Final, NamedTuple

RESERVED_SHARE: Final = 0.25
"""The part of all room that slow lanes do not get, unless their tenant has less than its share."""
SMALLEST_RESERVE: Final = 4
"""One for each step between the limits, where that is at most half of the room."""


class Groups(NamedTuple):
    """The names of the groups that a lane belongs to."""

    tenant: str
    host: str


class Group:
    """The lanes of one tenant or of one host: how many are known, and how many attempts of them are under way."""

    __slots__ = ("in_flight", "lanes", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.in_flight = 0
        self.lanes = 0


class KnownGroups:
    """The tenants, or the hosts, that have lanes."""

    def __init__(self) -> None:
        self.by_name: dict[str, Group] = {}

    def join(self, name: str) -> Group:
        """The group of this name, for one lane more."""
        group = self.by_name.get(name)
        if group is None:
            group = self.by_name[name] = Group(name)
        group.lanes += 1
        return group

    def leave(self, group: Group) -> None:
        """A lane does not belong to this group any more."""
        group.lanes -= 1
        if group.lanes == 0:
            del self.by_name[group.name]


class Pace(IntEnum):
    """How soon a lane has given room back so far; `NEW` has had none, `UNKNOWN` has given none back."""

    SLOW = 0
    UNKNOWN = 1
    NEW = 2
    QUICK = 3


QUICKEST_FIRST: Final = tuple(reversed(Pace))


class Bulkheads:
    """Limits that leave a part of the room to others, each a little more than the one before.

    Slow lanes together find theirs first, then these with the lanes that are not known yet, then any one host, and then
    all lanes together. What is left after that is for tenants with less than their share.
    """

    def __init__(self, room: int) -> None:
        reserve = int(room * RESERVED_SHARE)
        if room >= 2 * SMALLEST_RESERVE:
            reserve = max(reserve, SMALLEST_RESERVE)
        self.room = room
        self.in_flight = 0
        self.by_pace = [0 for _ in Pace]
        """How many attempts are under way, by the pace of their lanes."""
        self.limits = (room - reserve, room - reserve * 3 // 4, room - reserve // 2, room - reserve // 4)
        """How many lanes of each pace may have under way together with all slower ones."""
        self.host_limit = room - reserve * 3 // 8
        self.lane_limit = room - reserve
        """How many one lane may have: a quick one may hang from one moment to the next."""

    def occupy(self, pace: Pace, number: int) -> None:
        """So many attempts of lanes of this pace more, or less, are under way."""
        self.in_flight += number
        self.by_pace[pace] += number

    def free(self, pace: Pace) -> int:
        """How many more a lane of this pace may start."""
        free, together = self.room, self.in_flight
        for quicker in QUICKEST_FIRST:
            free = min(free, self.limits[quicker] - together)
            if quicker is pace:
                break
            together -= self.by_pace[quicker]
        return free
