"""10 attempts to the old address fail after the subscription was given a new one: what is known of the new target must not begin with their failures."""

import time

from tests.cases.scene import Hub, Receiver, verdict


def script(p, h, n):
    return (500, {}, 1.5) if p == "/old" else (200, {}, 0)


with Receiver(script) as r, Hub() as hub:
    s = hub.sub(target={"url": r.url + "/old"}, retry_schedule=[60], max_in_flight=12)
    for _ in range(12):
        hub.pub()
    while len(r.seen) < 12:
        time.sleep(0.02)
    assert hub.c.patch(f"/v1/subscriptions/{s['id']}", json={"target": {"url": r.url + "/new"}}).status_code == 200
    hub.pub()
    time.sleep(2.2)
    h = hub.c.get(f"/v1/subscriptions/{s['id']}").json()["health"]
    t = time.time()
    k = sum(x[1] == "/new" for x in r.seen)
    hub.pub()
    while sum(x[1] == "/new" for x in r.seen) == k and time.time() - t < 10:
        time.sleep(0.01)
    verdict(
        "c26",
        h["state"] == "healthy" and time.time() - t < 0.5,
        f"health of the new address (which only ever answered 200): {h}; the next event took {time.time() - t:.2f} s",
    )
