"""Redis, rolling upgrade: one process knows a FIELD of subscriptions that another has not. A subscription of it must not stop the other from accepting and delivering everything else."""

import asyncio
import time

import httpx

from hub.clock import SystemClock
from hub.stores import open_store
from tests.cases.scene import KEY, Hub, Receiver, newer_subscription, redis_server, verdict

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
            await s.records.write([newer_subscription(channel="file", target={"name": "q"}, priority=5)])

    asyncio.run(inject())
    time.sleep(1.5)

    class X:
        status_code = "reset"
        text = ""

    def post():
        try:
            return httpx.post(
                f"http://127.0.0.1:{hub.port}/v1/events",
                headers={"Authorization": f"Bearer {KEY}"},
                json={"type": "a.b", "data": {}},
            )
        except httpx.HTTPError as e:
            x = X()
            x.text = repr(e)
            return x

    codes = [post() for _ in range(3)]
    ready = None
    time.sleep(12)
    ready = hub.c.get("/readyz")
    verdict(
        "c14b",
        all(c.status_code == 202 for c in codes),
        f"after another process made a subscription with a field unknown here: publish {[c.status_code for c in codes]} {codes[0].text[:200]}; readyz {ready.status_code} {ready.text[:150]}; delivered before/after {before}/{len(r.seen)}",
    )
