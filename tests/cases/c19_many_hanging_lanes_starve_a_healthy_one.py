"""The reserve (25 % of the room) is for lanes below their fair share; with as many hanging lanes as there is room each of them is below it. One provider down with 40 subscriptions, room 32 (defaults: 256 / 260+)."""

import os
import time

from tests.cases.scene import Hub, Receiver, verdict


def script(p, h, n):
    return (200, {}, 6) if p == "/hang" else (200, {}, 0)


with Receiver(script) as r, Hub({"HUB_MAX_IN_FLIGHT": "32", "HUB_ATTEMPT_TIMEOUT": "5"}) as hub:
    hanging = int(os.environ.get("HANG", "40"))
    for i in range(hanging):
        hub.sub(name=f"h{i}", target={"url": r.url + "/hang"}, event_types=["h.*"])
    hub.sub(target={"url": r.url + "/ok"}, event_types=["ok.*"])

    def one():
        n = sum(1 for x in r.seen if x[1] == "/ok")
        t = time.time()
        hub.pub("ok.x")
        while sum(1 for x in r.seen if x[1] == "/ok") == n and time.time() - t < 30:
            time.sleep(0.005)
        return time.time() - t

    base = [one() for _ in range(10)]
    for i in range(20):
        hub.pub("h.x")
    time.sleep(0.5)
    lat = []
    t0 = time.time()
    while time.time() - t0 < 40:
        lat.append(one())
        time.sleep(0.1)
    lat.sort()
    verdict(
        "c19",
        lat[-1] < 1,
        f"healthy lane: alone max {max(base) * 1000:.0f} ms; with {hanging} hanging lanes and room 32: p50 {lat[len(lat) // 2]:.2f} s, max {lat[-1]:.2f} s over {len(lat)} events (attempt timeout 5 s)",
    )
