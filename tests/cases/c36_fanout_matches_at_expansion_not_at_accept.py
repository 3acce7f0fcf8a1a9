"""Above fanout_inline_max the match is made when the event is expanded (seconds later, or after a restart), not when it was accepted: a filter changed in between loses, or adds, deliveries."""

import asyncio
import pathlib
import tempfile

from hub.publishing.fanout import FanOutExpander
from tests.api_support import open_api, settings_for
from tests.cases.scene import TMP, verdict


async def main():
    wake = FanOutExpander.wake
    FanOutExpander.wake = lambda self: None
    d = pathlib.Path(tempfile.mkdtemp(dir=TMP))
    async with open_api(settings_for(d, fanout_inline_max=1)) as api:
        await asyncio.sleep(0.1)
        subs = [(await api.subscribe())["id"] for _ in range(3)]
        late = (await api.subscribe(event_types=["other.*"]))["id"]
        e = await api.publish("stock.low")
        api.clock.advance(1)
        assert (
            await api.admin.patch(f"/v1/subscriptions/{subs[0]}", json={"event_types": ["other.*"]})
        ).status_code == 200
        assert (await api.admin.patch(f"/v1/subscriptions/{late}", json={"event_types": ["*"]})).status_code == 200
        FanOutExpander.wake = wake
        api.process.worker.fan_out.wake()
        for _ in range(30):
            await asyncio.sleep(0.02)
            api.clock.advance(0.5)
        got = {x["subscription_id"] for x in (await api.admin.get(f"/v1/events/{e}/deliveries")).json()["items"]}
        verdict(
            "c36",
            got == set(subs),
            f"matched at accept: 3; made: {len(got)}; lost {len(set(subs) - got)}, added {len(got - set(subs))}",
        )


asyncio.run(main())
