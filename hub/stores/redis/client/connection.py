"""One connection to one node, and what goes over it: commands, and as many replies."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from hub.stores.redis.client.url import Address, Node

Argument = bytes | str | int | float

CONNECT_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 3.0


async def connect(address: Address, node: Node, options: dict[str, Any]) -> AbstractConnection:
    """An open connection to a node, which repeats nothing by itself. Raises `RedisError` or `OSError`."""
    kind = SSLConnection if address.tls else Connection
    connection: AbstractConnection = kind(
        host=node[0],
        port=node[1],
        protocol=2,
        legacy_responses=False,
        socket_connect_timeout=CONNECT_SECONDS,
        # With a timeout redis-py waits for each write by asyncio.wait_for, which makes a task of it and, before Python
        # 3.12, may swallow a cancellation: https://github.com/python/cpython/issues/86296. Callers watch the time.
        socket_timeout=None,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection.connect()  # type: ignore[no-untyped-call] # the library's
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def exchange(
    connection: AbstractConnection, commands: Sequence[Sequence[Argument]], seconds: float = ANSWER_SECONDS
) -> list[Any]:
    """Send commands together and read their replies, within `seconds`. Raises `RedisError` or `OSError`."""
    replies: list[Any] = []
    refusal: RedisError | None = None
    async with asyncio.timeout(seconds):
        await connection.send_packed_command(connection.pack_commands(commands))
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except (RedisConnectionError, RedisTimeoutError):
                raise
            except RedisError as error:
                # Raised after all replies are read, so that the connection can be used again.
                refusal = refusal or error
    if refusal is not None:
        raise refusal
    return replies
