"""Work that goes on in the background for as long as the process runs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from hub.clock import Clock

RESTART_SECONDS = 1.0
_log = structlog.get_logger(__name__)


def run_in_background(stack: AsyncExitStack, name: str, work: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run `work` as a task, start it again after an unexpected error, and cancel it when the stack unwinds."""

    async def run() -> None:
        while True:
            try:
                return await work()
            except Exception:  # noqa: BLE001 - an error that nobody foresaw must not end the work for good
                _log.exception("background.failed", name=name)
                await clock.sleep(RESTART_SECONDS)

    async def cancel() -> None:
        running.cancel()
        # Until it has ended, because what the stack unwinds next is what this work uses. Waiting raises none of its
        # errors.
        await asyncio.wait([running])

    running = asyncio.create_task(run(), name=name)
    stack.push_async_callback(cancel)
