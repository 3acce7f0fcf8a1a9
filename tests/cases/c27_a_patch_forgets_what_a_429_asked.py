"""429 with Retry-After: 30; then a PATCH of the NAME. The target asked for 30 s of silence: a new event must not be sent before."""

import time

from tests.cases.scene import Hub, Receiver, verdict

with Receiver(lambda p, h, n: (429, {"Retry-After": "30"}, 0) if n == 1 else (200, {}, 0)) as r, Hub() as hub:
    s = hub.sub(target={"url": r.url})
    hub.pub()
    while not r.seen:
        time.sleep(0.02)
    time.sleep(0.5)
    hub.pub()
    time.sleep(1.5)
    before = len(r.seen)
    hub.c.patch(f"/v1/subscriptions/{s['id']}", json={"name": "another name"})
    time.sleep(1)
    hub.pub()
    time.sleep(2)
    verdict(
        "c27",
        len(r.seen) == 1,
        f"arrivals in the pause: before the PATCH {before - 1}, after renaming the subscription {len(r.seen) - 1}",
    )
