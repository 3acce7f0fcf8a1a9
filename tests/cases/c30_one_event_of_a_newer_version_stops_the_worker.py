"""Redis, rolling upgrade: an event written by a newer process (a member of a form that is not known here, right digest). An old worker must treat that one as unreadable, not stop claiming."""

import asyncio
import time

import hub.stores.redis.intake as I
from hub.clock import SystemClock
from hub.stores import open_store
from hub.stores.redis.keyspace.codec import pack, unpack
from tests.cases.scene import Hub, Receiver, redis_server, verdict
from tests.hub.stores import samples as S

with (
    redis_server() as (url, port),
    Receiver(lambda p, h, n: (200, {}, 0)) as r,
    Hub({"HUB_STORE_URL": url, "HUB_SECRET_KEY": "s" * 40, "HUB_LOG_LEVEL": "warning"}) as hub,
):
    a = hub.sub(target={"url": r.url + "/a"}, event_types=["a.*"])
    b = hub.sub(target={"url": r.url + "/b"}, event_types=["b.*"])
    hub.pub("b.x")
    time.sleep(1)
    n0 = len(r.seen)
    old = I.packed_event

    async def inject():
        I.packed_event = lambda e: pack([*unpack(old(e))[:-1], {"parts": []}])
        c = SystemClock()
        async with open_store(url, c) as s:
            _, v = await s.records.changes(0)
            await s.intake.accept(
                S.batch(
                    S.entry(S.event(tenant="default", type="a.b", accepted_at=c.now(), time=c.now()), (a["id"],)),
                    tenant="default",
                    catalogue_version=v,
                )
            )
        I.packed_event = old

    asyncio.run(inject())
    time.sleep(2)
    t0 = time.time()
    got = []
    for i in range(40):
        hub.pub("b.x")
        time.sleep(0.5)
    time.sleep(10)
    n = sum(x[1] == "/b" for x in r.seen) - n0
    log = hub.log()
    verdict(
        "c30",
        n == 40 and "background.failed" not in log and "schedule.failed" not in log,
        f"40 events of another subscription in the next 30 s: {n} arrived; log: 'background.failed' x{log.count('background.failed')}, 'schedule.failed' x{log.count('schedule.failed')}; in flight {[l for l in hub.c.get('/metrics').text.splitlines() if l.startswith('hub_attempts_in_flight')]}",
    )
