import asyncio, tempfile
from pathlib import Path
import pytest
from tests.api_support import open_api, settings_for
from tests.receivers import Receiver
from tests.hub.dispatch.test_dispatcher import subscribe, _shown
from hub.stores.base import DeliveryQuery, Page


@pytest.mark.parametrize("n", range(1))
async def test_dbg(tmp_path: Path, n) -> None:
    async with open_api(settings_for(tmp_path)) as api, Receiver() as receiver:
        subscription = await subscribe(api, receiver, enabled=False)
        await api.publish(expires_at=_shown(api.clock, 60))
        await api.deliveries("held")
        api.clock.advance(61)
        (await api.admin.post(f"/v1/subscriptions/{subscription}/enable")).raise_for_status()
        for _ in range(100):
            r = (await api.admin.get("/v1/deliveries")).json()["items"]
            if r and r[0]["status"] == "dead":
                return
            await asyncio.sleep(0.02)
        d = api.dispatcher
        lanes = d.lanes
        print("NOW", api.clock.monotonic(), r)
        for l in lanes._lanes.values():
            print(l.id, l.state, l.in_flight, l.turn)
        print(lanes._queue, lanes._over_share, lanes.changed.is_set(), d._attempter._attempts, d._backoff._failed_at)
        print(await (getattr(api, "store", None) or api.services.store).queue.due())
        for t in asyncio.all_tasks():
            print(t.get_name(), t.get_coro())
        if any(t.get_name() == "dispatcher" for t in asyncio.all_tasks()):
            [t] = [t for t in asyncio.all_tasks() if t.get_name() == "dispatcher"]
            t.print_stack()
        raise AssertionError
