"""The listeners of a process, counted by tenant and grouped by selection, so that each filter is applied once."""

from collections.abc import Collection, Iterator

from hub.stream.listener import Listener
from hub.stream.selection import Selection


class Registry:
    """All listeners, those that are attached and those that still read history. `room` bounds how many there are."""

    def __init__(self, room: int) -> None:
        self._room = room
        # Dictionaries as sets that keep their order: the first listener of a tenant is its oldest.
        self._members: dict[str, dict[Listener, None]] = {}
        self._groups: dict[str, dict[Selection, dict[Listener, None]]] = {}
        self.count = 0

    def __iter__(self) -> Iterator[Listener]:
        """Every listener. The registry may change during the iteration."""
        return iter([listener for members in self._members.values() for listener in members])

    @property
    def full(self) -> bool:
        return self.count >= self._room

    @property
    def has_attached(self) -> bool:
        return bool(self._groups)

    def evictable(self, tenant: str) -> Listener | None:
        """The listener that gives way to one of `tenant` when all places are taken.

        It is the oldest of the tenant that has the most; None where `tenant` would then have more than that one.
        """
        largest = max(self._members.values(), key=len)
        own = len(self._members.get(tenant, ()))
        return next(iter(largest)) if len(largest) > own + 1 else None

    def add(self, listener: Listener) -> None:
        self._members.setdefault(listener.tenant, {})[listener] = None
        self.count += 1

    def attach(self, listener: Listener) -> None:
        """Let `groups` show a listener that was added before."""
        self._groups.setdefault(listener.tenant, {}).setdefault(listener.selection, {})[listener] = None

    def remove(self, listener: Listener) -> None:
        """Forget a listener, if it is not forgotten yet."""
        members = self._members.get(listener.tenant, {})
        if listener not in members:
            return
        del members[listener]
        self.count -= 1
        if not members:
            del self._members[listener.tenant]
        groups = self._groups.get(listener.tenant, {})
        group = groups.get(listener.selection, {})
        group.pop(listener, None)
        if not group:
            groups.pop(listener.selection, None)
        if not groups:
            self._groups.pop(listener.tenant, None)

    def groups(self, tenant: str) -> Collection[tuple[Selection, Collection[Listener]]]:
        """The attached listeners of a tenant by what they select."""
        return self._groups.get(tenant, {}).items()
