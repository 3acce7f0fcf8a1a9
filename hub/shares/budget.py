"""The bytes that wait in memory for a client: bodies that arrive, answers and entries of the stream that are sent."""

from hub.errors import Unavailable

ALLOWANCE_BYTES = 64 * 1024
"""What is smaller than this is not counted: counting it would cost more than it saves."""
_RETRY_SECONDS = 1.0


class MemoryBudget:
    """How much of this there may be at once, over all requests and listeners of a process.

    A tenant may hold as much as nobody holds. So one alone gets half of the budget, two get a third each, and there is
    always room for one more.

    Example:

        budget = MemoryBudget(100)
        budget.take("acme", 50), budget.take("acme", 1), budget.take("other", 25)  # (True, False, True)
    """

    def __init__(self, size: int) -> None:
        """`size` in bytes."""
        self.size = size
        self.held = 0
        """How many bytes are held now."""
        self.refusals = 0
        """How often there was no room, since the start."""
        self._by_tenant: dict[str, int] = {}

    def take(self, tenant: str, size: int) -> bool:
        """Hold so many bytes, until they are given back; False, and nothing is held, where there is no room."""
        own = self._by_tenant.get(tenant, 0) + size
        if own > self.size - self.held:
            self.refusals += 1
            return False
        self.held += size
        self._by_tenant[tenant] = own
        return True

    def give_back(self, tenant: str, size: int) -> None:
        """Hold so many bytes less."""
        self.held -= size
        left = self._by_tenant.get(tenant, 0) - size
        if left > 0:
            self._by_tenant[tenant] = left
        else:
            self._by_tenant.pop(tenant, None)


def full() -> Unavailable:
    """The error of a request for which there is no room."""
    return Unavailable(
        "Too much waits in the memory of this process for clients that send or read slowly; try again.",
        retry_after=_RETRY_SECONDS,
    )
