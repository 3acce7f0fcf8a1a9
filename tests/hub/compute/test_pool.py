"""The pool: fair over tenants, bounded in time and memory, whole after every end of a call."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator

import pytest

from hub.compute import Budget, ComputePool, OverBudget
from hub.compute.pool import MAX_WAITING
from hub.errors import Unavailable

ENDLESS = r"(a|a)*b", "a" * 40
"""What `re` would look at for ages, without letting anything else in its process run."""


@pytest.fixture
async def pool() -> AsyncIterator[ComputePool]:
    async with ComputePool() as opened:
        yield opened


@pytest.mark.process
async def test_a_function_runs_elsewhere_and_its_result_or_error_comes_back(pool: ComputePool) -> None:
    budget = Budget(10.0)
    assert await pool.run("one", budget, os.getpid) != os.getpid()
    assert await pool.run("one", budget, sum, range(1_000_000)) == 499_999_500_000
    assert 0 < budget.left < 10.0
    with pytest.raises(ZeroDivisionError):
        await pool.run("one", Budget(10.0), divmod, 1, 0)


@pytest.mark.process
async def test_what_takes_too_long_is_ended_wherever_it_is_and_the_next_call_is_answered(pool: ComputePool) -> None:
    budget = Budget(0.2)
    with pytest.raises(OverBudget):
        await pool.run("one", budget, re.fullmatch, *ENDLESS)
    with pytest.raises(OverBudget):
        await pool.run("one", budget, os.getpid)
    assert await pool.run("one", Budget(10.0), pow, 2, 10) == 1024


@pytest.mark.process
async def test_what_takes_too_much_memory_is_ended(pool: ComputePool) -> None:
    with pytest.raises(OverBudget):
        await pool.run("one", Budget(10.0), bytes, 3 * 1024**3)
    assert await pool.run("one", Budget(10.0), pow, 2, 10) == 1024


@pytest.mark.process
async def test_one_tenant_leaves_a_process_for_others(pool: ComputePool) -> None:
    sleeping = [asyncio.create_task(pool.run("one", Budget(10.0), time.sleep, 3600.0)) for _ in range(3)]
    while pool.waiting < 2:
        await asyncio.sleep(0)
    assert await pool.run("another", Budget(10.0), pow, 2, 10) == 1024
    assert (pool.busy, pool.waiting) == (1, 2)
    for task in sleeping:
        task.cancel()
    await asyncio.wait(sleeping)
    assert (pool.busy, pool.waiting) == (0, 0)
    # The answer of a call that was given up is not taken for that of the next one.
    assert await pool.run("one", Budget(10.0), pow, 2, 10) == 1024


@pytest.mark.process
async def test_a_crowd_of_one_tenant_is_told_to_come_back() -> None:
    async with ComputePool() as pool:
        tasks = [asyncio.create_task(pool.run("one", Budget(10.0), time.sleep, 3600.0)) for _ in range(MAX_WAITING + 1)]
        while pool.waiting < MAX_WAITING:
            await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            pool.refuse_crowd("one")
        pool.refuse_crowd("another")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
