"""Workers on one store share the work, and leave each other what they have begun."""

import asyncio
from pathlib import Path

from hub.cluster.roles import Role
from tests.api_support import settings_for
from tests.faults.patience import until
from tests.hub.runtime.parts import SECRET_KEY, Start, deliveries, started, subscribe
from tests.patience import PATIENCE_SECONDS
from tests.receivers import Arrival, Receiver


async def test_very_many_deliveries_are_made_by_workers_who_share_the_work(start: Start) -> None:
    web = await start(Role.WEB, fanout_inline_max=1)
    for _ in range(3):
        await subscribe(web)
    await start(Role.WORKER)
    await start(Role.WORKER)
    for _ in range(5):
        (await web.client.post("/v1/events", json={"type": "stock.low", "data": 1})).raise_for_status()

    async def delivered() -> bool:
        return await deliveries(web, "delivered") == 15

    await until(delivered, PATIENCE_SECONDS)


async def test_a_worker_that_starts_beside_another_leaves_it_what_it_has_begun(start: Start) -> None:
    web = await start(Role.WEB)
    await start(Role.WORKER)
    both_work = asyncio.Event()

    async def answer(arrival: Arrival) -> int:
        await both_work.wait()
        return 200

    async with Receiver(answer) as receiver:
        await subscribe(web, channel="webhook", target={"url": receiver.url})
        (await web.client.post("/v1/events", json={"type": "stock.low", "data": 1})).raise_for_status()
        await receiver.arrived(1)
        await start(Role.WORKER)
        both_work.set()

        async def delivered() -> bool:
            return await deliveries(web, "delivered") == 1

        await until(delivered, PATIENCE_SECONDS)
        assert len(receiver.requests) == 1


async def test_a_worker_that_is_told_to_stop_ends_what_it_has_begun_and_leaves_the_rest_to_others(
    start: Start, store_url: str, tmp_path: Path
) -> None:
    web = await start(Role.WEB)
    settings = settings_for(tmp_path / "first", store_url=store_url, secret_key=SECRET_KEY)
    told = asyncio.Event()

    async def answer(arrival: Arrival) -> int:
        await told.wait()
        return 200

    async with Receiver(answer) as receiver:
        await subscribe(web, channel="webhook", target={"url": receiver.url}, max_in_flight=2)
        async with started(settings, Role.WORKER) as first:
            for number in range(6):
                (await web.client.post("/v1/events", json={"type": "stock.low", "data": number})).raise_for_status()
            await receiver.arrived(2)
            first.process.begin_stop()
            told.set()
        assert len(receiver.requests) == 2
        assert await deliveries(web, "delivered") == 2
        await start(Role.WORKER)

        async def delivered() -> bool:
            return await deliveries(web, "delivered") == 6

        await until(delivered, PATIENCE_SECONDS)
        assert len(receiver.requests) == 6
