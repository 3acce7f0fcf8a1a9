"""Reading while the writer writes: a few threads, each with its own connection."""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from hub.clock import Clock
from hub.stores.sqlite.database.errors import READ_SECONDS, translate

P = ParamSpec("P")
T = TypeVar("T")

_STEPS_BETWEEN_LOOKS = 200_000


class Readers:
    """Each read ends after at most `READ_SECONDS`. With `snapshots`, all statements of one read see the same state."""

    def __init__(self, name: str, connections: list[apsw.Connection], clock: Clock, *, snapshots: bool = False) -> None:
        self._clock = clock
        self._snapshots = snapshots
        self._idle: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(len(connections), thread_name_prefix=name)
        self._connections = connections
        for connection in connections:
            self._idle.put(connection)

    async def run(self, read: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `read(connection, ...)`, called in a thread. Raises `Unavailable`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: self._read(read, *args, **kwargs))

    def _read(self, read: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        connection = self._idle.get()
        # The write-ahead log begins again only when no reader needs it, so a long read would let it grow.
        deadline = self._clock.monotonic() + READ_SECONDS
        connection.set_progress_handler(lambda: self._clock.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
        try:
            if self._snapshots:
                # Deferred: the first SELECT takes the snapshot, and no read waits for the writer or holds it up.
                connection.execute("BEGIN")
            return read(connection, *args, **kwargs)
        except apsw.Error as error:
            raise translate(error) from error
        finally:
            connection.set_progress_handler(None)
            if connection.in_transaction:
                connection.execute("COMMIT")
            self._idle.put(connection)

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._connections:
            connection.close()
