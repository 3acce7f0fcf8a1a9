"""Removing much in small steps, so that whoever shares the store is never kept waiting for long."""

from collections.abc import Awaitable, Callable

Step = Callable[[int], Awaitable[int]]
"""Removes at most as many as it is given and says how many it did."""
Sleep = Callable[[float], Awaitable[None]]


async def drain(step: Step, sleep: Sleep, *, batch: int = 500, pause_seconds: float = 0.02) -> int:
    """Repeat `step(batch)` until it removes nothing, with a pause between; gives how many were removed in all."""
    total = 0
    while removed := await step(batch):
        total += removed
        await sleep(pause_seconds)
    return total
