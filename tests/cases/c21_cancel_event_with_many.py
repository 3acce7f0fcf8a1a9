"""DELETE /v1/events/{id} of an event with N deliveries: one finish call for all. Redis: how long does one script hold the server?"""

import os
import time

import redis

from tests.cases.scene import Hub, redis_server, verdict

N = int(os.environ.get("N", "2000"))
with (
    redis_server() as (url, rp),
    Hub({"HUB_STORE_URL": url, "HUB_SECRET_KEY": "s" * 40, "HUB_LOG_LEVEL": "warning"}) as hub,
):
    import concurrent.futures as cf

    with cf.ThreadPoolExecutor(4) as ex:
        list(
            ex.map(
                lambda i: hub.sub(
                    name=f"s{i}", channel="file", target={"name": "f"}, event_types=["big.*"], enabled=False
                ),
                range(N),
            )
        )
    e = hub.pub("big.x")
    while sum((hub.c.get(f"/v1/events/{e}").json()["deliveries"]).values()) < N:
        time.sleep(0.2)
    R = redis.Redis(port=rp)
    R.config_set("slowlog-log-slower-than", 1000)
    R.slowlog_reset()
    t = time.time()
    a = hub.c.delete(f"/v1/events/{e}")
    took = time.time() - t
    sl = sorted((x["duration"] / 1000 for x in R.slowlog_get(200)), reverse=True)
    verdict(
        "c21",
        sl[0] < 20,
        f"cancel of an event with {N} deliveries: {a.status_code} {a.json().get('deliveries')} in {took:.2f} s; longest script {sl[0]:.0f} ms (next {[round(x) for x in sl[1:4]]}); 10,000 deliveries would hold Redis {sl[0] * 10000 / N:.0f} ms",
    )
