"""How long a test waits for what must come: long enough for a busy machine, because a test that passes never waits so
long."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

PATIENCE_SECONDS = 40.0
"""Less than the time limit of a test, so that the test itself says what did not come."""

T = TypeVar("T")


def patience() -> asyncio.Timeout:
    """Raises `TimeoutError` in the block that takes longer."""
    return asyncio.timeout(PATIENCE_SECONDS)


async def soon(awaited: Awaitable[T]) -> T:
    """What it gives. Raises `TimeoutError` when it takes longer."""
    async with patience():
        return await awaited
