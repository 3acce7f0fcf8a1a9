"""Replaying a delivered delivery whose subscription was deleted must not be accepted and must not turn 'delivered' into 'cancelled'."""

import time

from tests.cases.scene import Hub, Receiver, verdict

with Receiver(lambda p, h, n: (200, {}, 0)) as r, Hub() as hub:
    s = hub.sub(target={"url": r.url})
    e = hub.pub()
    while not (ds := hub.deliveries(event_id=e, status="delivered")):
        time.sleep(0.1)
    hub.c.delete(f"/v1/subscriptions/{s['id']}")
    a = hub.c.post(f"/v1/deliveries/{ds[0]['id']}/replay")
    time.sleep(1.5)
    after = hub.c.get(f"/v1/deliveries/{ds[0]['id']}").json()
    verdict(
        "c03",
        a.status_code == 409 and after["status"] == "delivered",
        f"replay answered {a.status_code}; the delivery was delivered, is now {after['status']}: {after.get('reason')}; attempts {[x['outcome'] for x in after['attempts']]}",
    )
