"""A few threads for one use, so that calls which hang delay nothing else."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar, TypeVarTuple, Unpack

Args = TypeVarTuple("Args")
T = TypeVar("T")
_Call = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Threads:
    """At most `size` threads, which are started when there is work for them.

    They are daemons: a call that never returns, as on a disk that hangs, does not hold up the end of the process.

    Example:

        threads = Threads("cleanup", 1)
        await threads.run(sorted, [2, 1])
        threads.close()
    """

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self._size = size
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._started = 0
        self._unfinished = 0
        """Calls that wait or are under way; counted on the event loop alone."""

    @property
    def waiting(self) -> int:
        """Calls that wait for a thread."""
        return max(0, self._unfinished - self._size)

    @property
    def busy(self) -> int:
        """Calls under way."""
        return min(self._unfinished, self._size)

    async def run(self, function: Callable[[Unpack[Args]], T], *args: *Args) -> T:
        """What the function returns or raises. When the caller is cancelled, a call that has begun goes on."""
        outcome: Future[T] = Future()
        answer = asyncio.wrap_future(outcome)
        self._unfinished += 1
        loop = asyncio.get_running_loop()
        outcome.add_done_callback(lambda _: self._count_down(loop))
        self._calls.put((outcome, function, args))
        if self._unfinished > self._started and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._work, name=self.name, daemon=True).start()
        return await answer

    def close(self) -> None:
        """End the threads, each once its call has returned; this does not wait for them."""
        for _ in range(self._started):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            outcome, function, args = call
            if not outcome.set_running_or_notify_cancel():
                continue
            try:
                outcome.set_result(function(*args))
            except BaseException as error:  # noqa: BLE001 - raised where the call was made
                outcome.set_exception(error)

    def _count_down(self, loop: asyncio.AbstractEventLoop) -> None:
        def count() -> None:
            self._unfinished -= 1

        if not loop.is_closed():
            loop.call_soon_threadsafe(count)
