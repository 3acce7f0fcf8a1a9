"""Redis: a list with a filter that fits nothing walks the whole index, 1,000 hashes a script, with no time limit (SQLite stops after 5 s)."""

import asyncio
import time

import redis

from hub.clock import SystemClock
from hub.stores import open_store
from hub.stores.base import DeliveryQuery, Page
from hub.testing.stores import samples as S
from tests.cases.scene import redis_server, verdict

N = 30_000


async def main():
    with redis_server(appendfsync="no") as (url, port):
        c = SystemClock()
        async with open_store(url, c) as A:
            for i in range(N // 500):
                await A.intake.accept(
                    S.batch(*[S.entry(S.event(accepted_at=c.now()), ("sub_1",), index=k) for k in range(500)])
                )
            R = redis.Redis(port=port)

            def cpu():
                return sum(float(R.info("cpu")[k]) for k in ("used_cpu_user", "used_cpu_sys"))

            rt, c0, t = A.feed._engine.round_trips, cpu(), time.time()
            f = await A.archive.deliveries(S.TENANT, DeliveryQuery(type="nothing.such"), Page(50))
            dt = time.time() - t
            verdict(
                "c31",
                dt < 0.2,
                f"{N} deliveries, type=nothing.such: {len(f.items)} items, {dt:.2f} s, {A.feed._engine.round_trips - rt} round trips, {cpu() - c0:.2f} s of the server's CPU; linear: 1 M {dt * 1e6 / N:.0f} s, no limit stops it",
            )


asyncio.run(main())
