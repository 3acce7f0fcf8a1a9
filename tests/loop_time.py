"""Moves the clock that the timers of an event loop go by, so that no test waits for a long limit."""

import asyncio


def pass_loop_time(seconds: float) -> None:
    """Let the timers of the running event loop be due so much sooner, from its next turn on."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign] # of this loop, which ends with the test
