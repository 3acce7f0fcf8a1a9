"""What the sharing of room costs per attempt when many lanes wait for it: Lanes alone, no store."""

import time
from types import SimpleNamespace as NS

from hub.clock import SystemClock
from hub.dispatch.lanes import Lanes
from hub.stores.base import ClaimResult, LanePolicy
from tests.cases.scene import verdict


def cost(n):
    lanes = Lanes(256, lambda l: LanePolicy(10), SystemClock())
    for i in range(n):
        lanes.notify(f"sub_{i}", None)

    def claimed(wants):
        claims = [NS(delivery=NS(subscription_id=w.lane)) for w in wants for _ in range(1)]
        now = lanes._clock.now()
        lanes.answered(wants, ClaimResult(tuple(claims), {w.lane: now for w in wants}))
        return [w.lane for w in wants]

    flying = []
    while wants := lanes.take():
        flying += claimed(wants)
    t0, done = time.perf_counter(), 0
    while time.perf_counter() - t0 < 1.5:
        lanes.end_attempt(flying.pop(0))
        done += 1  # one attempt ends, the loop wakes
        while wants := lanes.take():
            flying += claimed(wants)
    return (time.perf_counter() - t0) / done * 1e6, len(flying)


r = {n: cost(n) for n in (10, 100, 1000, 10_000)}
verdict(
    "c13",
    r[10_000][0] < 20 * r[100][0],
    "us of event loop per ended attempt, 256 in flight, all lanes with due work: "
    + ", ".join(f"{n} lanes: {c:.0f} us" for n, (c, f) in r.items()),
)
