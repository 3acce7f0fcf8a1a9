"""Removing many things in small steps, so that other users of the store never wait long."""

from collections.abc import Awaitable, Callable

Step = Callable[[int], Awaitable[int]]
"""Removes at most the given number and returns how many it removed."""
Sleep = Callable[[float], Awaitable[None]]


async def drain(step: Step, sleep: Sleep, *, batch: int = 500, pause_seconds: float = 0.02) -> int:
    """Repeat `step(batch)` with pauses until it removes nothing. Returns how many were removed in total."""
    total = 0
    while removed := await step(batch):
        total += removed
        # A pause after each step lets writers of the store have their turn.
        await sleep(pause_seconds)
    return total
