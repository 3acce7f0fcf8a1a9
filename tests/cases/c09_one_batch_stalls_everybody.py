"""fanout_inline_max bounds one EVENT (1,000 matches), nothing bounds one BATCH: 1,000 events x 400 subscriptions is one commit of 400,000 deliveries. What happens to another publisher meanwhile?"""

import os
import threading
import time
from pathlib import Path

import httpx

from tests.cases.scene import KEY, Hub, verdict

subs, events = int(os.environ.get("SUBS", "300")), int(os.environ.get("EVENTS", "1000"))
env = {"HUB_LOG_LEVEL": "warning"}
if os.environ.get("STORE"):
    env["HUB_STORE_URL"] = os.environ["STORE"]
with Hub(env) as hub:
    for i in range(subs):
        hub.sub(name=f"s{i}", channel="file", target={"name": f"f{i}"}, event_types=["big.*"], enabled=False)

    def rss():
        return int(Path(f"/proc/{hub.p.pid}/statm").read_text().split()[1]) * 4096 / 1e6

    r0 = rss()
    worst = []
    stop = threading.Event()

    th = threading.Thread(target=hub.publish_until, args=(stop, worst))
    th.start()
    time.sleep(1)
    t = time.time()
    a = httpx.post(
        f"http://127.0.0.1:{hub.port}/v1/events",
        headers={"Authorization": f"Bearer {KEY}"},
        json=[{"type": "big.x", "data": {}} for _ in range(events)],
        timeout=120,
    )
    took = time.time() - t
    peak = rss()
    time.sleep(1)
    stop.set()
    th.join()
    w = max(worst)
    codes = {c: sum(1 for _, x in worst if x == c) for c in {x for _, x in worst}}
    verdict(
        "c09",
        w[0] < 1,
        f"one POST of {events} events x {subs} subscriptions ({events * subs} deliveries): answered {a.status_code} after {took:.1f} s; another publisher's worst single event {w[0]:.1f} s, its statuses {codes}; rss {r0:.0f} -> {peak:.0f} MB",
    )
