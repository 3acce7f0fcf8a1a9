"""Places are taken in turn: by tenants one after the other, and by those of one tenant in their order."""

import asyncio

import pytest

from channels.http.turns import Turns


async def test_what_becomes_free_goes_to_the_tenants_one_after_the_other() -> None:
    turns, order = Turns(places=2, share=2), list[str]()

    async def take(name: str) -> None:
        await turns.take(name[0])
        order.append(name)

    tasks = [asyncio.create_task(take(name)) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")]
    await asyncio.sleep(0)
    assert order == ["a1", "a2"]
    for place in range(5):
        turns.give_back(order[place][0])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert order == ["a1", "a2", "a3", "b1", "c1", "a4", "b2"]
    await asyncio.gather(*tasks)


async def test_a_tenant_has_no_more_than_its_share() -> None:
    turns = Turns(places=3, share=1)
    await turns.take("a")
    waiting = asyncio.create_task(turns.take("a"))
    await asyncio.sleep(0)
    await turns.take("b")
    assert not waiting.done()
    turns.give_back("a")
    await waiting


@pytest.mark.parametrize("given", [False, True])
async def test_who_is_cancelled_leaves_the_place_to_the_next(given: bool) -> None:
    turns = Turns(places=1, share=1)
    await turns.take("a")
    cancelled, following = asyncio.create_task(turns.take("a")), asyncio.create_task(turns.take("b"))
    await asyncio.sleep(0)
    if given:
        turns.give_back("a")
        cancelled.cancel()
    else:
        cancelled.cancel()
        await asyncio.sleep(0)
        turns.give_back("a")
    await following
    with pytest.raises(asyncio.CancelledError):
        await cancelled
