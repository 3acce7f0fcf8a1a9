"""Draining repeats small steps and lets others in between."""

from schedules.drain import drain


async def test_it_repeats_until_nothing_is_left_and_pauses_between() -> None:
    left = 1_200
    asked: list[int] = []
    pauses: list[float] = []

    async def step(limit: int) -> tuple[int, bool]:
        nonlocal left
        asked.append(limit)
        removed = min(limit, left)
        left -= removed
        return removed, left > 0

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    assert await drain(step, sleep, batch=500, pause_seconds=0.5) == 1_200
    assert asked == [500] * 3
    assert pauses == [0.5] * 2


async def test_with_nothing_to_do_it_asks_once_and_does_not_wait() -> None:
    async def step(limit: int) -> tuple[int, bool]:
        return 0, False

    async def sleep(seconds: float) -> None:
        raise AssertionError("nothing to wait for")

    assert await drain(step, sleep) == 0


async def test_it_ends_with_the_step_that_it_is_at_when_the_process_stops() -> None:
    steps = 0

    async def step(limit: int) -> tuple[int, bool]:
        nonlocal steps
        steps += 1
        return limit, True

    async def sleep(seconds: float) -> None: ...

    assert await drain(step, sleep, is_stopping=lambda: steps == 2) == 1_000
