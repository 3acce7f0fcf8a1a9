"""A disabled subscription: events that expired and are far older than HUB_RETENTION must go some day."""

import asyncio
import pathlib
import tempfile
from datetime import timedelta

from tests.api_support import open_api, settings_for
from tests.cases.scene import TMP, verdict


async def main():
    d = pathlib.Path(tempfile.mkdtemp(dir=TMP))
    async with open_api(settings_for(d, retention=60.0)) as api:
        await api.subscribe(enabled=False)
        e = await api.publish(expires_at=(api.clock.now() + timedelta(seconds=5)).isoformat().replace("+00:00", "Z"))
        api.clock.advance(365 * 86400)
        await api.services.housekeeping._purge_events()
        r = await api.admin.get(f"/v1/events/{e}")
        x = (await api.admin.get("/v1/deliveries")).json()["items"]
        verdict(
            "c08",
            r.status_code == 404,
            f"a year later, retention 60 s, expired after 5 s: event {r.status_code}, delivery {x and x[0]['status']}",
        )


asyncio.run(main())
