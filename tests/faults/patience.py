"""Waiting for what other processes do, which can only be looked for again and again."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(holds: Callable[[], Awaitable[bool]], within: float, *, every: float = 0.05) -> None:
    """Return once it holds. Raises `TimeoutError` after so many seconds."""
    async with asyncio.timeout(within):
        while True:
            if await holds():
                return
            await asyncio.sleep(every)
