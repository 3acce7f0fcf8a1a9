"""Held (or deliver_at, or replayed) for longer than retention, then delivered or dead: its record must be readable for a while, not gone at the next retention run."""

import asyncio
import pathlib
import tempfile

from tests.api_support import open_api, settings_for
from tests.cases.scene import TMP, verdict


async def main():
    d = pathlib.Path(tempfile.mkdtemp(dir=TMP))
    async with open_api(settings_for(d)) as api:
        s = await api.subscribe(
            channel="webhook", target={"url": "http://127.0.0.1:9/"}, enabled=False, retry_schedule=[]
        )
        await api.publish()
        await api.deliveries("held")
        api.clock.advance(31 * 86400)
        await api.admin.post(f"/v1/subscriptions/{s['id']}/enable")
        (x,) = await api.deliveries("dead")
        from datetime import timedelta

        n = await api.store.upkeep.purge(api.clock.now() - timedelta(days=30), 500)
        r = await api.admin.get(f"/v1/deliveries/{x['id']}")
        verdict(
            "c29",
            r.status_code == 200,
            f"held 31 days, enabled, dead now; retention (30 days) runs in the same minute: purged {n} event(s), the dead letter answers {r.status_code}",
        )


asyncio.run(main())
