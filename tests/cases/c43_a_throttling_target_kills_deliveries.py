"""A target that takes 5 requests a second and answers the rest 429 with Retry-After: 1 (a usual rate limiter). 300 events at once, default subscription: none may die, it is only slow."""

import threading
import time

from tests.cases.scene import Hub, Receiver, verdict

times = []
lock = threading.Lock()


def script(p, h, n):
    with lock:
        now = time.time()
        while times and times[0] < now - 1:
            times.pop(0)
        if len(times) < 5:
            times.append(now)
            return (200, {}, 0)
        return (429, {"Retry-After": "1"}, 0)


with Receiver(script) as r, Hub({"HUB_LOG_LEVEL": "warning"}) as hub:
    hub.sub(target={"url": r.url})
    hub.c.post("/v1/events", json=[{"type": "t.x", "data": {}}] * 300)
    t = time.time()
    st = {}
    while time.time() - t < 110:
        s = hub.c.get("/v1/stats").json()
        st = {k: s[k] for k in ("delivered", "dead", "pending", "failed_attempts")}
        if not s["pending"]:
            break
        time.sleep(1)
    verdict("c43", st["dead"] == 0, f"after {time.time() - t:.0f} s: {st}, requests {len(r.seen)} for 300 events")
