"""How far the event loop is behind, and whether so far that nothing more should be begun."""

import asyncio
from collections.abc import Callable

from hub.errors import Unavailable

INTERVAL_SECONDS = 0.1
LIMIT_SECONDS = 0.25


class LoopLag:
    """Measures how late the loop comes to what is due.

    One late turn is over when it is noticed. So the loop counts as behind only when it was late twice in a row: then
    more comes than it can do.

    Example:

        lag = LoopLag(print)
        watching = asyncio.create_task(lag.watch())
        lag.refuse_when_behind()
    """

    def __init__(self, observe: Callable[[float], None]) -> None:
        """`observe` is given each measure, in seconds."""
        self._observe = observe
        self._latest = 0.0
        self.is_behind = False
        self.refused = 0
        """Requests that were refused."""

    def refuse_when_behind(self) -> None:
        """Raises `Unavailable`."""
        if self.is_behind:
            self.refused += 1
            raise Unavailable("The hub has more to do than it can; nothing was accepted.", retry_after=1)

    async def watch(self) -> None:
        """Measure until this is cancelled."""
        # By the loop's own time and not by a clock of the hub: it is the loop that is measured.
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL_SECONDS
            await asyncio.sleep(INTERVAL_SECONDS)
            before, self._latest = self._latest, max(0.0, loop.time() - due)
            self.is_behind = min(before, self._latest) > LIMIT_SECONDS
            self._observe(self._latest)
