import asyncio
from datetime import timedelta

from hub.testing.clock import START, ManualClock


def test_it_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=2.5), 2.5)


def test_setting_it_back_leaves_monotonic_time() -> None:
    clock = ManualClock()
    clock.advance(10)
    clock.set_back(3_600)
    assert clock.now() == START + timedelta(seconds=10 - 3_600)
    assert clock.monotonic() == 10


async def test_sleepers_wake_in_the_order_of_their_instants_and_not_before() -> None:
    clock = ManualClock()
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    sleeping = [asyncio.create_task(sleep(seconds)) for seconds in (3, 1, 2)]
    await asyncio.sleep(0)
    clock.advance(0.999)
    await asyncio.sleep(0)
    assert (woken, clock.sleepers) == ([], 3)
    clock.advance(1.001)
    await asyncio.gather(*sleeping[1:])
    assert (woken, clock.sleepers) == ([1, 2], 1)
    clock.advance(1)
    await sleeping[0]


async def test_a_task_that_sleeps_in_a_loop_wakes_as_often_as_in_real_time() -> None:
    clock = ManualClock()
    instants: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(2)
            instants.append(clock.monotonic())

    ticking = asyncio.create_task(tick())
    await clock.elapse(7)
    ticking.cancel()
    assert (instants, clock.monotonic()) == ([2, 4, 6], 7)
