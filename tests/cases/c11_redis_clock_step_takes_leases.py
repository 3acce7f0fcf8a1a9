"""One machine's clock steps forward (VM resumed, NTP step). Until the next measure (every 10 s) that process judges leases by the wrong time (ARGV now, not TIME):
it takes over every other worker's attempts under way (each is sent twice), and what it accepts is due that much later."""

import asyncio
from datetime import timedelta

from hub.clock import SystemClock
from hub.stores import open_store
from hub.testing.stores import samples as S
from tests.cases.scene import redis_server, verdict


class Stepping(SystemClock):
    step = timedelta()

    def now(self):
        return super().now() + self.step


async def main():
    with redis_server() as (url, _port):
        a, b = SystemClock(), Stepping()
        async with open_store(url, a) as A, open_store(url, b) as B:
            await S.publish(A, "sub_1", accepted_at=a.now(), time=a.now())
            (claim,) = await S.claim(A, "sub_1")  # under way in A, lease 30 s, just begun
            b.step = timedelta(seconds=60)  # B's wall clock steps
            taken = await B.queue.reclaim(100)
            (w,) = await A.queue.finish([S.result(claim, "delivered")])
            verdict(
                "c11a",
                not taken,
                f"B (clock stepped +60 s) took over {len(taken)} attempt(s) that A had just begun (lease 30 s); A's own 'delivered' was then {w} -> the target gets it twice",
            )
            b.step = timedelta(hours=1)
            await S.publish(B, "sub_2", accepted_at=b.now(), time=b.now())
            claims = await S.claim(A, "sub_2")
            due = (await A.queue.due()).get("sub_2")
            verdict(
                "c11b",
                len(claims) == 1,
                f"an event accepted by B within 10 s after its clock stepped +1 h: claimable now by A: {len(claims)}; due in {(due - a.now()).total_seconds() if due else 0:.0f} s",
            )
            t1 = await A.leases.acquire("scheduler", "A", 10)
            t2 = await B.leases.acquire("scheduler", "B", 10)
            verdict(
                "c11c",
                t2 is None,
                f"the leader's right: A holds it (token {t1}), B with the wrong clock gets token {t2}",
            )


asyncio.run(main())
