"""Removing many things in small steps, so that other users of the store never wait long."""

from collections.abc import Awaitable, Callable

Step = Callable[[int], Awaitable[tuple[int, bool]]]
"""Removes at most the given number of rows; returns how many things that were, and whether there may be more."""
Sleep = Callable[[float], Awaitable[None]]


async def drain(
    step: Step,
    sleep: Sleep,
    *,
    is_stopping: Callable[[], bool] = lambda: False,
    batch: int = 500,
    pause_seconds: float = 0.02,
) -> int:
    """Repeat `step(batch)` with pauses until there is no more, or the process stops. Returns how many were removed in
    total."""
    total, more = 0, True
    while more and not is_stopping():
        removed, more = await step(batch)
        total += removed
        if more:
            # A pause after each step lets writers of the store have their turn.
            await sleep(pause_seconds)
    return total
