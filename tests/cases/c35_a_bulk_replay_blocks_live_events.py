"""Replays are class 'first' and due now: whoever replays much of a lane makes its live events wait behind all of it (the coming POST /v1/replays does it by the thousand)."""

import time

from tests.cases.scene import Hub, Receiver, verdict

with Receiver(lambda p, h, n: (200, {}, 0)) as r, Hub() as hub:
    s = hub.sub(target={"url": r.url})
    hub.c.post("/v1/events", json=[{"type": "t.x", "data": {}}] * 200)
    while len(r.seen) < 200:
        time.sleep(0.1)
    time.sleep(1)
    hub.c.patch(f"/v1/subscriptions/{s['id']}", json={"rate_limit": {"per_second": 20.0}})
    for x in hub.deliveries(status="delivered", limit=200):
        hub.c.post(f"/v1/deliveries/{x['id']}/replay")
    n = len(r.seen)
    e = hub.pub()
    t = time.time()
    while not any(e.encode() in b"".join(str(h).encode() for h in [x[2]]) for x in r.seen[n:]) and time.time() - t < 30:
        time.sleep(0.05)
    verdict(
        "c35",
        time.time() - t < 2,
        f"200 replays in a lane of 20/s, then one live event: it arrived after {time.time() - t:.1f} s",
    )
