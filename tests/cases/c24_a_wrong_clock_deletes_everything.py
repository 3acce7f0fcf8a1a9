"""The machine's clock is 40 days ahead for a few minutes (dead RTC, NTP not yet there): the hourly retention removes everything that was delivered."""

import asyncio
import pathlib
import tempfile

from tests.api_support import open_api, settings_for
from tests.cases.scene import TMP, verdict


async def main():
    d = pathlib.Path(tempfile.mkdtemp(dir=TMP))
    async with open_api(settings_for(d)) as api:
        await api.subscribe()
        e = await api.publish()
        await api.deliveries("delivered")
        api.clock.set_back(-40 * 86400)
        purging = asyncio.create_task(api.services.housekeeping._purge_events())
        await asyncio.sleep(0.3)
        api.clock.advance(1)
        await asyncio.sleep(0.3)
        api.clock.set_back(40 * 86400)
        await asyncio.wait([purging], timeout=10)
        r = await api.admin.get(f"/v1/events/{e}")
        verdict(
            "c24",
            r.status_code == 200,
            f"event accepted seconds ago, clock 40 days ahead during one retention run, back again: GET {r.status_code}",
        )


asyncio.run(main())
