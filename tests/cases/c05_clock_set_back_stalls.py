"""The wall clock is set back one hour (NTP step after boot): what was accepted before and waits must still be sent at once. F42: 'no stall > 1 interval'."""

import asyncio
import pathlib
import tempfile

from hub.testing.receivers import Receiver as R
from tests.api_support import open_api, settings_for
from tests.cases.scene import TMP, verdict


async def main():
    gate = asyncio.Event()

    async def script(arrival):
        await gate.wait()
        return 200

    d = pathlib.Path(tempfile.mkdtemp(dir=TMP))
    async with R(script) as r, open_api(settings_for(d)) as api:
        await api.subscribe(channel="webhook", target={"url": r.url}, max_in_flight=1)
        for _ in range(5):
            await api.publish()
        await r.arrived(1)
        api.clock.set_back(3600)
        gate.set()
        waited = 0
        while len(r.requests) < 5 and waited < 7200:
            await api.clock.elapse(30, turns=50)
            await asyncio.sleep(0.02)
            waited += 30
            await api.dispatcher.sweep()
        verdict(
            "c05",
            waited <= 60,
            f"5 events accepted, clock set back 3600 s with 4 waiting: all arrived after {waited} s of (manual) time; {len(r.requests)} arrivals",
        )


asyncio.run(main())
