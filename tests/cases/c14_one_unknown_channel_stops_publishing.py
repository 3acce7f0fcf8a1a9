"""Redis, rolling upgrade: one process has a channel that another has not. A subscription of it must not stop the other from accepting and delivering everything else."""

import asyncio
import time

from hub.clock import SystemClock
from hub.stores import open_store
from tests.cases.scene import Hub, Receiver, newer_subscription, redis_server, verdict

with (
    redis_server() as (url, port),
    Receiver(lambda p, h, n: (200, {}, 0)) as r,
    Hub({"HUB_STORE_URL": url, "HUB_SECRET_KEY": "s" * 40}) as hub,
):
    hub.sub(target={"url": r.url}, event_types=["a.*"])
    hub.pub("a.b")
    time.sleep(1)
    before = len(r.seen)

    async def inject():
        async with open_store(url, SystemClock()) as s:
            await s.records.write([newer_subscription(channel="pager", target={})])

    asyncio.run(inject())
    time.sleep(1.5)
    codes = [hub.c.post("/v1/events", json={"type": "a.b", "data": {}}) for _ in range(3)]
    time.sleep(12)
    ready = hub.c.get("/readyz")
    verdict(
        "c14",
        all(c.status_code == 202 for c in codes),
        f"after another process made a subscription of a channel unknown here: publish {[c.status_code for c in codes]} {codes[0].text[:200]}; readyz {ready.status_code} {ready.text[:150]}; delivered before/after {before}/{len(r.seen)}",
    )
