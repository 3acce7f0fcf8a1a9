"""One at a time for each tenant."""

import asyncio
from weakref import WeakValueDictionary


class TenantTurns:
    """What one tenant asks for is done one after the other, so that it leaves a store's readers to the others.

    Example:

        turns = TenantTurns()
        async with turns.of("acme"):
            rows = await store.feed.read(0, 500, "acme")
    """

    def __init__(self) -> None:
        # A lock lives as long as somebody has it or waits for it.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, tenant: str) -> asyncio.Lock:
        """The lock to hold while something is done for this tenant."""
        return self._turns.setdefault(tenant, asyncio.Lock())
