"""Engine.measure adds half the round trip whatever it was: while Redis is busy for 2 s (a long script, a fork) this process's time of day jumps ahead ~1 s for the next 10 s, then back."""

import asyncio

import redis

from hub.clock import SystemClock
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.url import read_address
from tests.cases.scene import redis_server, verdict


async def main():
    with redis_server() as (url, port):
        c = SystemClock()
        e = Engine(read_address(url), c)
        await e.measure()
        a = e.ahead
        R = redis.Redis(port=port)
        R.execute_command("CLIENT", "PAUSE", "2000", "ALL")
        await e.measure()
        b = e.ahead
        await e.measure()
        d = e.ahead
        verdict(
            "c23",
            abs(b - a).total_seconds() < 0.05,
            f"ahead before {a.total_seconds() * 1000:.0f} ms, after a measure that took 2 s {b.total_seconds() * 1000:.0f} ms, next {d.total_seconds() * 1000:.0f} ms",
        )
        await e.close()


asyncio.run(main())
