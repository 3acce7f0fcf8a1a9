"""Redis: `fan_outs(limit)` reads the first `limit` members and drops unreadable ones; ten lost documents at the front hide every later fan-out forever."""

import asyncio

from hub.clock import SystemClock
from hub.stores import open_store
from hub.testing.stores import samples as S
from tests.cases.scene import redis_server, verdict


async def main():
    with redis_server() as (url, port):
        c = SystemClock()
        async with open_store(url, c) as A:
            evs = []
            for i in range(11):
                e = S.event(accepted_at=c.now())
                evs.append(e)
                await A.intake.accept(S.batch(S.entry(e, fan_out=S.match())))
                await asyncio.sleep(0.002)
            import redis

            R = redis.Redis(port=port)
            pre = A.feed._engine.prefix
            R.delete(*[f"{pre}:e:{e.id}" for e in evs[:10]])
            got = await A.intake.fan_outs(10)
            verdict(
                "c16",
                len(got) == 1,
                f"10 of 11 events lost their document; fan_outs(10) gives {len(got)} (the 11th is never expanded)",
            )


asyncio.run(main())
