"""Calls that are held: none runs, and none is answered, before the scheduler chooses it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from hub.errors import Unavailable
from tests.simulation.loop import SimulatedLoop

LONGEST_SECONDS: Final = 2.0
"""How long a call, or its answer, is held at most: time does not move on before."""
Ran = Callable[["Call", Any], Awaitable[None]]
"""Told of each call that ran, with what it gave."""


class Owner:
    """A process that makes calls. After `kill` none of its calls runs, and no answer reaches it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True


class Held:
    """Something that waits for the scheduler: `proceed` lets it go on."""

    def __init__(self, owner: Owner, name: str, deadline: float) -> None:
        self.owner = owner
        self.name = name
        self.deadline = deadline

    def proceed(self) -> str:
        """Gives what this was, for the trace."""
        raise NotImplementedError


class Call(Held):
    """A call to a store: it waits to run, and then its answer waits to be given."""

    def __init__(
        self, calls: "Calls", owner: Owner, name: str, run: Callable[[], Awaitable[Any]], args: tuple[Any, ...]
    ) -> None:
        super().__init__(owner, name, calls.loop.time() + LONGEST_SECONDS)
        self.args = args
        self.answered: asyncio.Future[Any] = calls.loop.create_future()
        self._calls = calls
        self._run = run
        self._outcome: Callable[[], None] | None = None

    def proceed(self) -> str:
        if self._outcome is not None:
            if not self.answered.done():
                self._outcome()
            return f"{self.owner.name} answer {self.name}"
        self._calls.start(self._make())
        return f"{self.owner.name} run {self.name}"

    async def _make(self) -> None:
        if self._calls.outage:
            error = Unavailable("The simulated store is away.", retry_after=1)
            self._outcome = partial(self.answered.set_exception, error)
        else:
            try:
                result = await self._run()
            except Exception as error:  # noqa: BLE001 - the caller's to handle
                self._outcome = partial(self.answered.set_exception, error)
            else:
                self._outcome = partial(self.answered.set_result, result)
                await self._calls.ran(self, result)
        self.deadline = self._calls.loop.time() + LONGEST_SECONDS
        if self.owner.alive:
            self._calls.held.append(self)


class Calls:
    """What is held. While `outage` is set each call fails, as one to a store that is away."""

    def __init__(self, loop: SimulatedLoop, ran: Ran) -> None:
        self.loop = loop
        self.ran = ran
        self.held: list[Held] = []
        self.outage = False
        self._running: set[asyncio.Task[None]] = set()

    def port(self, owner: Owner, name: str, port: Any) -> Any:
        """The port of a store for one process: the same methods, each of which is held."""
        return _Port(self, owner, name, port)

    async def hold(self, owner: Owner, name: str, run: Callable[[], Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        if not owner.alive:
            raise asyncio.CancelledError
        call = Call(self, owner, name, run, args)
        self.held.append(call)
        return await call.answered

    def start(self, work: Any) -> None:
        """Do something at the store. Nothing else is chosen before it has ended."""
        self.loop.outside += 1
        task = self.loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.loop.outside -= 1
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = error

    failure: BaseException | None = None
    """What was raised at the store or by what was told of it."""

    def kill(self, owner: Owner) -> None:
        """Nothing of this process runs or is answered any more; what has run has run."""
        owner.alive = False
        self.held = [held for held in self.held if held.owner is not owner]


class _Port:
    def __init__(self, calls: Calls, owner: Owner, name: str, port: Any) -> None:
        self._calls = calls
        self._owner = owner
        self._name = name
        self._port = port

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        target = getattr(self._port, method)
        name = f"{self._name}.{method}"

        def held(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            return self._calls.hold(self._owner, name, partial(target, *args, **kwargs), args)

        return held
