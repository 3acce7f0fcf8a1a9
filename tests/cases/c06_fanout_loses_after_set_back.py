"""Background fan-out picks subscriptions by `created_at <= accepted_at`: with a clock that was set back (or a web process that is behind) accepted (event, subscription) pairs are lost silently."""

import asyncio
import pathlib
import tempfile

from tests.api_support import open_api, settings_for
from tests.cases.scene import TMP, verdict


async def main():
    for name, back in (("no jump", 0), ("set back 1 h", 3600)):
        d = pathlib.Path(tempfile.mkdtemp(dir=TMP))
        async with open_api(settings_for(d, fanout_inline_max=1)) as api:
            for _ in range(5):
                await api.subscribe()
            api.clock.advance(1)
            api.clock.set_back(back)
            e = await api.publish()
            for _ in range(50):
                await asyncio.sleep(0.02)
                api.clock.advance(0.5)
            got = (await api.admin.get(f"/v1/events/{e}/deliveries")).json()["items"]
            ex = (await api.admin.get(f"/v1/events/{e}/explain")).json()["items"]
            verdict(
                "c06 " + name,
                len(got) == 5,
                f"5 subscriptions matched at accept, {len(got)} deliveries made; explain: {ex[0]['reason']}",
            )


asyncio.run(main())
