"""Redis: among the claims of a dead worker is one whose event this version cannot read. The other claims must still be taken over."""

import asyncio

import hub.stores.redis.intake as I
from hub.clock import SystemClock
from hub.stores import open_store
from hub.stores.redis.keyspace.codec import pack, unpack
from tests.cases.scene import redis_server, verdict
from tests.hub.stores import samples as S


async def main():
    with redis_server() as (url, _port):
        c = SystemClock()
        old = I.packed_event
        async with open_store(url, c) as A:
            for k in range(5):
                await S.publish(A, "sub_ok", accepted_at=c.now(), time=c.now())
            await S.claim(A, "sub_ok", lease=0.2)  # a worker that dies now
            I.packed_event = lambda e: pack([*unpack(old(e))[:-1], {"parts": []}])
            await S.publish(A, "sub_new", accepted_at=c.now(), time=c.now())
            I.packed_event = old
            first = "claimed"
            try:
                await S.claim(A, "sub_new", lease=0.2)
            except Exception as e:
                first = type(e).__name__
            res = []
            for _ in range(3):
                await asyncio.sleep(0.5)
                async with open_store(url, c) as B:
                    B.queue._engine.clock = c
                    try:
                        res.append(len(await B.queue.reclaim(500)))
                    except Exception as e:
                        res.append(type(e).__name__)
            verdict(
                "c33",
                5 in res or 6 in res,
                f"claiming the unreadable one: {first}; three reclaims of the dead worker's 5 healthy deliveries: {res} (each failure leases all of them anew for 60 s)",
            )


asyncio.run(main())
