"""Deliveries that have expired need no attempt, so they must not spend the lane's rate; live events behind them wait else."""

import time
from datetime import UTC, datetime, timedelta

from tests.cases.scene import Hub, Receiver, verdict

with Receiver(lambda p, h, n: (200, {}, 0)) as r, Hub() as hub:
    s = hub.sub(target={"url": r.url}, rate_limit={"per_second": 2.0}, enabled=False)
    exp = (datetime.now(UTC) + timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
    for i in range(60):
        hub.pub(expires_at=exp)
    e = hub.pub()  # the live one
    time.sleep(3.5)
    t0 = time.time()
    hub.c.post(f"/v1/subscriptions/{s['id']}/enable")
    while not r.seen and time.time() - t0 < 60:
        time.sleep(0.05)
    took = time.time() - t0
    verdict(
        "c02",
        took < 3,
        f"60 expired before 1 live event, rate 2/s: the live one arrived after {took:.1f} s (expected <1.5 s; 30 s means every expired one spent a token)",
    )
