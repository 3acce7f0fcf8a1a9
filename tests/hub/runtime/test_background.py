"""Work in the background is started again after an error, and ends with its stack."""

import asyncio
from contextlib import AsyncExitStack

from structlog.testing import capture_logs

from hub.runtime.background import RESTART_SECONDS, run_in_background
from tests.clock import ManualClock


async def test_work_that_fails_is_logged_and_started_again_after_a_while(clock: ManualClock) -> None:
    starts = 0

    async def work() -> None:
        nonlocal starts
        starts += 1
        raise KeyError("a bug")

    with capture_logs() as lines:
        async with AsyncExitStack() as stack:
            run_in_background(stack, "sweeps", work, clock)
            await clock.elapse(0)
            assert starts == 1
            await clock.elapse(3 * RESTART_SECONDS)
            assert starts == 4
    assert {(line["event"], line["name"]) for line in lines} == {("background.failed", "sweeps")}


async def test_work_that_ends_is_not_started_again(clock: ManualClock) -> None:
    starts = 0

    async def work() -> None:
        nonlocal starts
        starts += 1

    async with AsyncExitStack() as stack:
        run_in_background(stack, "once", work, clock)
        await clock.elapse(10 * RESTART_SECONDS)
    assert starts == 1


async def test_the_stack_waits_until_what_it_cancels_has_ended(clock: ManualClock) -> None:
    steps: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("the work has cleaned up")

    async with AsyncExitStack() as stack:
        stack.callback(steps.append, "what it needs is closed")
        run_in_background(stack, "endless", work, clock)
        await clock.elapse(0)
    assert steps == ["the work has cleaned up", "what it needs is closed"]
