"""An event is cancelled between the check and the write of a replay: the API must not answer 202 'pending'."""

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
        (x,) = await api.deliveries("delivered")
        deliveries = api.services.deliveries
        finish = deliveries._queue.finish

        async def late(results):
            deliveries._queue.finish = finish
            await api.admin.delete(f"/v1/events/{e}")
            return await finish(results)

        deliveries._queue.finish = late
        a = await api.admin.post(f"/v1/deliveries/{x['id']}/replay")
        now = (await api.admin.get(f"/v1/deliveries/{x['id']}")).json()["status"]
        verdict(
            "c07",
            a.status_code != 202,
            f"replay answered {a.status_code} with status {a.json().get('status')}; the store says {now} (nothing was written)",
        )


asyncio.run(main())
