"""`_claim` raises after the store gave claims (catalogue cannot be read: unknown channel, newer field): the room they took is never given back, so the worker stops delivering for good even after the cause is gone."""

import asyncio
import time

from hub.clock import SystemClock
from hub.models import Record
from hub.stores import open_store
from hub.testing.stores import samples as S
from tests.cases.scene import NEWER_ID, Hub, Receiver, newer_subscription, redis_server, verdict

with (
    redis_server() as (url, port),
    Receiver(lambda p, h, n: (200, {}, 0)) as r,
    Hub({"HUB_STORE_URL": url, "HUB_SECRET_KEY": "s" * 40, "HUB_MAX_IN_FLIGHT": "64"}) as hub,
):
    a = hub.sub(target={"url": r.url}, event_types=["a.*"])
    hub.pub("a.b")
    time.sleep(1)

    async def steps():
        c = SystemClock()
        async with open_store(url, c) as s:
            v = await s.records.write([newer_subscription(channel="pager", target={})])

            async def put(sub, k):
                for _ in range(k):
                    await s.intake.accept(
                        S.batch(
                            S.entry(S.event(tenant="default", type="a.b", accepted_at=c.now(), time=c.now()), (sub,)),
                            tenant="default",
                            catalogue_version=v,
                        )
                    )

            await put(NEWER_ID, 300)
            await asyncio.sleep(12)
            n0 = len(r.seen)
            await put(a["id"], 5)
            await asyncio.sleep(8)
            during = len(r.seen) - n0
            v = await s.records.write([Record("subscription", "default", NEWER_ID, None)])  # the cause is gone
            await asyncio.sleep(4)
            n1 = len(r.seen)
            await put(a["id"], 5)
            await asyncio.sleep(15)
            return during, len(r.seen) - n1

    during, after = asyncio.run(steps())
    m = hub.c.get("/metrics").text
    fl = [
        l
        for l in m.splitlines()
        if l.startswith("hub_attempts_in_flight") or ("in_flight" in l and not l.startswith("#"))
    ]
    verdict(
        "c17",
        during == 5 and after == 5,
        f"healthy subscription while the catalogue cannot be read: {during}/5 arrived; after the bad record was deleted: {after}/5; metric {fl}",
    )
