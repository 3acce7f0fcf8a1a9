"""A few processes that compute for all tenants, of which none can have all."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Self, TypeVar, TypeVarTuple, Unpack

from hub.compute.budget import Budget
from hub.compute.process import ComputeProcess
from hub.errors import Unavailable

SIZE = 2
MAX_WAITING = 32
"""Calls of one tenant that may wait where the caller says that it can come back."""
Args = TypeVarTuple("Args")
T = TypeVar("T")
Turn = asyncio.Future[ComputeProcess]


class ComputePool:
    """Runs functions in processes of their own, which are started when there is work for them.

    Tenants take turns, and while one waits or works another always finds a process: a tenant has at most all but one
    of them. A function and its arguments are pickled, so it stands at the top of a module.

    Example:

        async with ComputePool() as pool:
            await pool.run("default", Budget(1.0), pow, 2, 10)  # 1024
    """

    def __init__(self, size: int = SIZE) -> None:
        self._free = [ComputeProcess() for _ in range(size)]
        self._all = tuple(self._free)
        self._share = max(1, size - 1)
        self._busy: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[Turn]] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._all:
            await process.kill()

    @property
    def waiting(self) -> int:
        """Calls that wait for a process."""
        return sum(map(len, self._queues.values()))

    @property
    def busy(self) -> int:
        """Calls under way."""
        return self._busy.total()

    def refuse_crowd(self, tenant: str) -> None:
        """Raises `Unavailable` when so many calls of this tenant wait that another one should come back later."""
        if len(self._queues.get(tenant, ())) >= MAX_WAITING:
            raise Unavailable("Too much of this tenant waits to be computed; nothing was accepted.", retry_after=1)

    async def run(self, tenant: str, budget: Budget, function: Callable[[Unpack[Args]], T], *args: *Args) -> T:
        """What the function returns. Raises what it raises, `OverBudget`, and `Unavailable` where no process can be
        started.

        How long it waits for its turn is not counted, and neither is what others take from the processor.
        """
        process = await self._turn(tenant)
        try:
            return await process.call(budget, function, args)  # type: ignore[no-any-return] # unpickled
        finally:
            self._give_back(tenant, process)

    async def _turn(self, tenant: str) -> ComputeProcess:
        turn: Turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(tenant, deque()).append(turn)
        self._hand_out()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(tenant, turn.result())
            else:
                self._forget(tenant, turn)
            raise

    def _hand_out(self) -> None:
        """Give free processes to the tenants that wait, one each in turn."""
        for tenant in list(self._queues):
            if not self._free:
                return
            if self._busy[tenant] >= self._share:
                continue
            turn = self._queues[tenant][0]
            self._forget(tenant, turn)
            self._busy[tenant] += 1
            # One that runs already, if there is one: starting another takes longer than most calls.
            process = max(self._free, key=lambda free: free.is_running)
            self._free.remove(process)
            turn.set_result(process)

    def _forget(self, tenant: str, turn: Turn) -> None:
        queue = self._queues[tenant]
        queue.remove(turn)
        if queue:
            self._queues.move_to_end(tenant)
        else:
            del self._queues[tenant]

    def _give_back(self, tenant: str, process: ComputeProcess) -> None:
        self._busy[tenant] -= 1
        if not self._busy[tenant]:
            del self._busy[tenant]
        self._free.append(process)
        self._hand_out()
