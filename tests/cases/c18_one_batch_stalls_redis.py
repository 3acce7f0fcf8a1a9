"""c09 on Redis: one script makes all deliveries of a batch. Other processes' calls meanwhile (PING from outside), the answer, and what is there afterwards."""

import os
import threading
import time

import httpx
import redis

from tests.cases.scene import KEY, Hub, redis_server, verdict

subs, events = int(os.environ.get("SUBS", "300")), 1000
with (
    redis_server() as (url, rp),
    Hub({"HUB_STORE_URL": url, "HUB_SECRET_KEY": "s" * 40, "HUB_LOG_LEVEL": "warning"}) as hub,
):
    for i in range(subs):
        hub.sub(name=f"s{i}", channel="file", target={"name": f"f{i}"}, event_types=["big.*"], enabled=False)
    stop = threading.Event()
    worst = []
    pings = []

    def ping():
        R = redis.Redis(port=rp, socket_timeout=60)
        while not stop.is_set():
            t = time.time()
            try:
                R.ping()
            except redis.RedisError as e:
                pings.append((time.time() - t, str(e)[:30]))
                time.sleep(0.02)
                continue
            pings.append((time.time() - t, "ok"))
            time.sleep(0.02)

    ths = [threading.Thread(target=hub.publish_until, args=(stop, worst)), threading.Thread(target=ping)]
    [t.start() for t in ths]
    time.sleep(0.5)
    t = time.time()
    try:
        a = httpx.post(
            f"http://127.0.0.1:{hub.port}/v1/events",
            headers={"Authorization": f"Bearer {KEY}"},
            json=[{"type": "big.x", "data": {}} for _ in range(events)],
            timeout=120,
        )
        st = a.status_code
    except httpx.HTTPError as e:
        st = repr(e)
    took = time.time() - t
    time.sleep(6)
    stop.set()
    [t.join() for t in ths]
    R = redis.Redis(port=rp, socket_timeout=120)
    busy_for = time.time()
    while True:
        try:
            R.ping()
            break
        except redis.RedisError:
            time.sleep(0.2)
    busy_for = time.time() - t
    n = sum(R.zcard(k) for k in R.scan_iter(match="*:events:default", count=5000))
    pend = sum(R.zcard(k) for k in R.scan_iter(match="*:status:default:file:pending", count=5000))
    codes = {c: sum(1 for _, x in worst if x == c) for c in {x for _, x in worst}}
    log = hub.log()
    verdict(
        "c18",
        st == 202 and max(pings)[0] < 1,
        f"one POST of {events} x {subs} = {events * subs} deliveries: answered {st} after {took:.1f} s; Redis answered nobody for {max(pings)[0]:.1f} s ({ {m for _, m in pings} }); another publisher: worst {max(worst)[0]:.1f} s, statuses {codes}; free again {busy_for:.0f} s after the request; afterwards {pend} deliveries are there; leadership lost {log.count('leadership.lost')} times",
    )
