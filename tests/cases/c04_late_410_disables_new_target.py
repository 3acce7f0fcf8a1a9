"""A 410 of the OLD address must not disable a subscription that was given a NEW address while the attempt was under way."""

import time

from tests.cases.scene import Hub, Receiver, verdict


def script(p, h, n):
    return (410, {}, 2.0) if p == "/old" else (200, {}, 0)


with Receiver(script) as r, Hub() as hub:
    s = hub.sub(target={"url": r.url + "/old"})
    hub.pub()
    while not r.seen:
        time.sleep(0.05)
    p = hub.c.patch(
        f"/v1/subscriptions/{s['id']}",
        json={"target": {"url": r.url + "/new"}},
        headers={"content-type": "application/merge-patch+json"},
    )
    if p.status_code == 415:
        p = hub.c.patch(f"/v1/subscriptions/{s['id']}", json={"target": {"url": r.url + "/new"}})
    assert p.status_code == 200, p.text
    time.sleep(3)
    now = hub.c.get(f"/v1/subscriptions/{s['id']}").json()
    verdict(
        "c04",
        now["enabled"],
        f"retargeted while the old address was answering: enabled={now['enabled']} reason={now.get('disabled_reason')} target={now['target']['url'][-4:]}",
    )
