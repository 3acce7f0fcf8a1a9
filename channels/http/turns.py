"""Places that tenants take in turn."""

import asyncio
from collections import deque


class Turns:
    """At most `places` at once, and at most `share` of them for one tenant; the others wait until it is their turn.

    What becomes free goes to the tenants one after the other, and among those of one tenant to who has waited longest.

    Example:

        turns = Turns(places=128, share=32)
        await turns.take("acme")
        turns.give_back("acme")
    """

    def __init__(self, places: int, share: int) -> None:
        self._free = places
        self._share = share
        self._taken: dict[str, int] = {}
        # The tenant at the front is the next; one that was given a place goes to the end.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, tenant: str) -> None:
        """Wait for a place, which has to be given back."""
        if self._free and self._taken.get(tenant, 0) < self._share and tenant not in self._waiting:
            self._give(tenant)
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back(tenant)
            raise

    def give_back(self, tenant: str) -> None:
        """Let the next have the place."""
        self._free += 1
        self._taken[tenant] -= 1
        if not self._taken[tenant]:
            del self._taken[tenant]
        while self._free and (following := self._next()) is not None:
            self._give(following[0])
            following[1].set_result(None)

    def _give(self, tenant: str) -> None:
        self._free -= 1
        self._taken[tenant] = self._taken.get(tenant, 0) + 1

    def _next(self) -> tuple[str, asyncio.Future[None]] | None:
        for tenant in tuple(self._waiting):
            if self._taken.get(tenant, 0) >= self._share:
                continue
            waiting = self._waiting.pop(tenant)
            while waiting and waiting[0].done():
                # It was cancelled while it waited.
                waiting.popleft()
            if waiting:
                place = waiting.popleft()
                if waiting:
                    self._waiting[tenant] = waiting
                return tenant, place
        return None
