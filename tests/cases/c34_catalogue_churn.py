"""One tenant keeps PATCHing a subscription (4 clients in a loop). The catalogue has ONE version for all tenants and each change drops the tenant's pattern index: what do publishers of the same and of another tenant feel?"""

import asyncio
import json
import os
import time

import httpx

from benchmarks.load import fire, post
from tests.cases.scene import KEY, Hub, redis_server, verdict

subs = int(os.environ.get("SUBS", "1000"))
env = {"HUB_LOG_LEVEL": "warning", "HUB_SECRET_KEY": "s" * 40}


async def run(hub, name):
    async def mk(i):
        pass

    reqs = [
        post(
            "/v1/subscriptions",
            json.dumps(
                {"name": f"s{i}", "event_types": [f"k{i}.*", f"z{i}.x"], "channel": "file", "target": {"name": "f"}}
            ).encode(),
            KEY,
        )
        for i in range(subs)
    ]
    await fire(hub.port, reqs, clients=4, expected=201)
    hub.c.post("/v1/tenants", json={"id": "other", "name": "other"})
    k2 = hub.c.post("/v1/keys", json={"name": "x", "scopes": ["events:write"], "tenant": "other"}).json()["key"]
    sid = hub.c.get("/v1/subscriptions?limit=1").json()["items"][0]["id"]
    ev = [post("/v1/events", b'{"type":"q.x","data":{}}', k) for k in (KEY, k2) for _ in range(400)]
    a = await fire(hub.port, ev, clients=16)
    stop = False
    n = 0

    async def churn():
        nonlocal n
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=30
        ) as c:
            while not stop:
                await c.patch(f"/v1/subscriptions/{sid}", json={"name": f"n{n}"})
                n += 1

    ts = [asyncio.create_task(churn()) for _ in range(4)]
    await asyncio.sleep(0.5)
    n0, t = n, time.time()
    b = await fire(hub.port, ev, clients=16)
    rate = (n - n0) / (time.time() - t)
    stop = True
    await asyncio.gather(*ts)
    from collections import Counter

    verdict(
        "c34 " + name,
        not b.unexpected and b.per_second > a.per_second / 3,
        f"{subs} subscriptions: publishing alone {a.per_second:.0f}/s p99 {a.quantile_ms(0.99):.0f} ms; with {rate:.0f} PATCHes/s {b.per_second:.0f}/s p99 {b.quantile_ms(0.99):.0f} ms, statuses other than 202: {dict(Counter(b.unexpected))} of {len(ev)}",
    )


with Hub(env) as hub:
    asyncio.run(run(hub, "sqlite"))
with redis_server() as (url, port), Hub({**env, "HUB_STORE_URL": url}) as hub:
    asyncio.run(run(hub, "redis"))
