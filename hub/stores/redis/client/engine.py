"""Calls to Redis: scripts that write, commands that read, each one round trip; lost connections heal by themselves."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError

from hub.clock import Clock
from hub.errors import Unavailable
from hub.stores.milliseconds import milliseconds
from hub.stores.redis.client.connection import ANSWER_SECONDS, Argument, exchange
from hub.stores.redis.client.errors import Lost, Refused, translate
from hub.stores.redis.client.pool import Connections
from hub.stores.redis.client.scripts import Script
from hub.stores.redis.client.url import Address
from hub.stores.unreadable import Unreadable

PATIENCE_SECONDS: Final = 4.0
"""How long a call that may be repeated is repeated."""
BLOCK_SECONDS: Final = 2
"""How long a read may block; less than the client waits for an answer."""
_PAUSES: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
_MOVE: Final = "#!lua flags=allow-oom\nredis.call('HSET', KEYS[1], 'at', ARGV[1])"
"""Moves the time of scripts, see `lua/lib/clock.lua`; also while memory is full."""
_log = structlog.get_logger("hub.store")


class Engine:
    """One hub's keys in one Redis, wherever its primary is. `round_trips` counts the calls so far."""

    def __init__(self, address: Address, clock: Clock, unreadable: Unreadable | None = None) -> None:
        self.address = address
        self.prefix = f"{{{address.prefix}}}"
        self.clock = clock
        self.unreadable = unreadable or Unreadable()
        self.round_trips = 0
        self._connections = Connections(address)
        self._failing_since: float | None = None
        self.patience_seconds = PATIENCE_SECONDS

    # -- calls -------------------------------------------------------------------------------------------------------

    async def run(
        self, script: Script, *args: Argument, repeat: bool = False, replicas: int = 0, wait: float = 0
    ) -> Any:
        """Run a script, `KEYS[1]` being the prefix, and give its reply: bytes, int, list or None.

        `repeat` says that it does no harm when it runs again after its answer was lost. With `replicas`, at least that
        many must have its writes within `wait` seconds. Raises `Unavailable`, as `Lost` when it may have run.
        """
        command = ("EVALSHA", script.digest, 1, self.prefix, *args)
        wanted = (("WAIT", replicas, round(wait * 1000)),) if replicas else ()
        seconds = ANSWER_SECONDS + (wait if replicas else 0)
        replies = await self._persist([command, *wanted], repeat=repeat, text=script.text, seconds=seconds)
        if replicas and replies[1] < replicas:
            raise Lost(
                "Too few replicas have it yet (HUB_REDIS_WAIT_REPLICAS); try again with the same key.", retry_after=1.0
            )
        return replies[0]

    async def ask(self, *command: Argument) -> Any:
        """Send one command that only reads, and give its reply: bytes, int, list or None. Raises `Unavailable`."""
        return (await self._persist([command], repeat=True))[0]

    async def ask_all(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send commands that only read in one round trip, and give the reply of each. Raises `Unavailable`."""
        return await self._persist(commands, repeat=True) if commands else []

    def reader(self) -> "Reader":
        """A connection of its own for reads that block. The caller closes it."""
        return Reader(self, self._connections)

    async def _persist(
        self,
        commands: Sequence[Sequence[Argument]],
        *,
        repeat: bool,
        text: str = "",
        seconds: float = ANSWER_SECONDS,
    ) -> list[Any]:
        """Make a call, and make it again while that may help and does no harm, for at most `patience_seconds`."""
        now = asyncio.get_running_loop().time
        attempt, lost = 0, False
        while True:
            try:
                replies = await self._call(commands, text, seconds)
            except Unavailable as error:
                # Since the first failure of any call: in an outage, later calls do not wait as long once more.
                self._failing_since = self._failing_since or now()
                lost = lost or isinstance(error, Lost)
                pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
                again = isinstance(error, Refused) or (repeat and isinstance(error, Lost))
                if not again or now() + pause > self._failing_since + self.patience_seconds:
                    # It may have been carried out the first time, whatever error the last try ended with.
                    raise Lost(error.detail, retry_after=error.retry_after) if lost else error from error
                await asyncio.sleep(pause)
                attempt += 1
            else:
                self._failing_since = None
                return replies

    async def _call(self, commands: Sequence[Sequence[Argument]], text: str, seconds: float) -> list[Any]:
        sent = False
        try:
            async with self._connections.use() as connection:
                sent = True
                try:
                    return await self._exchange(connection, commands, seconds)
                except NoScriptError:
                    # A server that was restarted or has taken over does not know it. EVAL leaves it there.
                    return await self._exchange(connection, [("EVAL", text, *commands[0][2:]), *commands[1:]], seconds)
        except (RedisError, OSError) as error:
            failure = translate(error)
            # The other connections lead to the same node, which is away or is no longer the primary.
            if isinstance(failure, Refused | Lost):
                await self._connections.forget()
            # Nothing was sent, so nothing was carried out: making the call again is safe for every script.
            if isinstance(failure, Lost) and not sent:
                failure = Refused(failure.detail, retry_after=failure.retry_after)
            if not isinstance(failure, Unavailable):
                _log.error("store.command_refused", error=str(error)[:1000])
            raise failure from error

    async def _exchange(
        self, connection: AbstractConnection, commands: Sequence[Sequence[Argument]], seconds: float
    ) -> list[Any]:
        self.round_trips += 1
        if not self.clock.by_hand:
            return await exchange(connection, commands, seconds)
        # With each call, because the server may have been emptied, and other clocks may be moved.
        moved = ("EVAL", _MOVE, 1, f"{self.prefix}:clock", milliseconds(self.clock.now()))
        return (await exchange(connection, [moved, *commands], seconds))[1:]

    async def close(self) -> None:
        await self._connections.close()


class Reader:
    """Reads that block for at most `BLOCK_SECONDS`, on a connection of their own."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine = engine
        self._connections = connections
        self._connection: AbstractConnection | None = None

    async def ask(self, *command: Argument) -> Any:
        """Send one command, such as `XREAD BLOCK 2000 …`, and give its reply. Raises `Unavailable` at the first
        failure; the next call connects again."""
        try:
            if self._connection is None:
                self._connection = await self._connections.open()
            self._engine.round_trips += 1
            return (await exchange(self._connection, [command]))[0]
        except (RedisError, OSError) as error:
            await self.close()
            raise translate(error) from error
        except BaseException:
            # Cancelled: the reply may still come, and would be taken for that of the next command.
            await self.close()
            raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
