"""A loop that is late again and again is behind; one that was late once is not."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from hub.errors import Unavailable
from hub.telemetry.loop_lag import INTERVAL_SECONDS, LIMIT_SECONDS, LoopLag
from hub.testing.patience import patience


class Watched(LoopLag):
    def __init__(self) -> None:
        self.measures: list[float] = []
        super().__init__(self.measures.append)

    async def next(self) -> None:
        known = len(self.measures)
        async with patience():
            while len(self.measures) == known:
                await asyncio.sleep(0.001)


@pytest.fixture
async def lag() -> AsyncIterator[Watched]:
    lag = Watched()
    watching = asyncio.create_task(lag.watch())
    # Until it waits for what is due next.
    await asyncio.sleep(0)
    yield lag
    watching.cancel()


def hold_up() -> None:
    time.sleep(INTERVAL_SECONDS + LIMIT_SECONDS + 0.05)


async def test_twice_late_is_behind_and_then_publishing_is_refused(lag: Watched) -> None:
    hold_up()
    await lag.next()
    assert lag.measures[-1] > LIMIT_SECONDS
    lag.refuse_when_behind()
    hold_up()
    await lag.next()
    with pytest.raises(Unavailable) as refused:
        lag.refuse_when_behind()
    assert (refused.value.retry_after, lag.refused) == (1, 1)
    async with patience():
        while lag.is_behind:
            await lag.next()
    lag.refuse_when_behind()
