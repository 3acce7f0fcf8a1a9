"""A target that answers 503 + Retry-After: 1 (what this hub itself answers) must not use up a 3.5-day schedule in seconds."""

import time

from tests.cases.scene import Hub, Receiver, verdict

with Receiver(lambda p, h, n: (503, {"Retry-After": "1"}, 0)) as r, Hub() as hub:
    hub.sub(target={"url": r.url})
    t0 = time.time()
    e = hub.pub()
    end = time.time() + 120
    d = None
    while time.time() < end:
        (d,) = hub.deliveries(event_id=e)
        if d["status"] != "pending" and d["status"] != "sending":
            break
        time.sleep(0.5)
    verdict(
        "c01",
        d["status"] != "dead",
        f"default schedule (3.5 days), 503 with Retry-After: 1 -> after {time.time() - t0:.0f} s status={d['status']} attempts={d['attempt_count']} reason={d.get('reason')}; arrivals at {[round(t - t0, 1) for t, *_ in r.seen]}",
    )
