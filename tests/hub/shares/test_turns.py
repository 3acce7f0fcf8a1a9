"""A tenant has one turn at a time, and waits for no other tenant."""

import asyncio
import gc

from hub.shares import TenantTurns


async def test_turns_of_one_tenant_follow_each_other_and_those_of_others_do_not_wait() -> None:
    turns, begun, may_end = TenantTurns(), list[str](), asyncio.Event()

    async def work(tenant: str) -> None:
        async with turns.of(tenant):
            begun.append(tenant)
            await may_end.wait()

    tasks = [asyncio.create_task(work(tenant)) for tenant in ("a", "a", "b")]
    await asyncio.sleep(0)
    assert begun == ["a", "b"]
    may_end.set()
    await asyncio.gather(*tasks)
    assert begun == ["a", "b", "a"]
    tasks.clear()
    gc.collect()
    assert len(turns._turns) == 0
