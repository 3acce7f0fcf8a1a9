"""Work that is cut into steps is gone on with where the process died that was at it."""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import Drill
from tests.faults.patience import until

pytestmark = pytest.mark.drill

LANES = 5
_CODE = (
    "import runpy, sys, hub.dispatch.change_runner, hub.publishing.fanout;"
    " hub.dispatch.change_runner.STEP = hub.publishing.fanout.CHUNK = 2; del sys.argv[0];"
    " runpy.run_path(sys.argv[0], None, '__main__')"
)
SMALL_STEPS = (sys.executable, "-c", _CODE)
"""Runs a hub that takes small steps: it dies in the middle of little work as it would in that of much."""


async def asked(drill: Drill, method: str, path: str) -> Any:
    async with drill.hub.client() as api:
        answer = await api.request(method, path)
        assert answer.is_success, answer.text
        return answer.json()


async def publish(drill: Drill) -> str:
    async with drill.hub.client() as api:
        answer = await api.post("/v1/events", json={"type": "drill.steps", "data": {}})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


async def has(drill: Drill, event_id: str, counts: dict[str, int]) -> bool:
    found: dict[str, int] = (await asked(drill, "GET", f"/v1/events/{event_id}"))["deliveries"]
    assert sum(found.values()) <= LANES, "a delivery was made twice"
    return found == counts


async def ask_into_a_crash(drill: Drill, failpoints: str, method: str, path: str) -> None:
    """Start the hub with failpoints, make a request that runs into them, and start again what is dead then."""
    await drill.hub.stop()
    await drill.hub.start(failpoints=failpoints, wrapper=SMALL_STEPS)
    with suppress(httpx.TransportError):
        await asked(drill, method, path)
    await drill.hub.one_died(PATIENCE_SECONDS)
    await drill.hub.start(wrapper=SMALL_STEPS)


async def subscribe(drill: Drill, **members: Any) -> list[str]:
    return [await drill.subscribe(f"lane{number}", **members) for number in range(LANES)]


async def test_a_fan_out_is_gone_on_with_where_its_process_died(drill: Drill) -> None:
    """Red when deliveries and cursor are two commits: the step that was under way would be lost, or made twice."""
    drill.hub.settings["fanout_inline_max"] = "1"
    await drill.hub.start(failpoints="after_expand:kill:2", wrapper=SMALL_STEPS)
    await subscribe(drill, enabled=False)
    event = await publish(drill)
    await drill.hub.one_died(PATIENCE_SECONDS)
    await drill.hub.start(wrapper=SMALL_STEPS)
    await until(lambda: has(drill, event, {"held": LANES}), PATIENCE_SECONDS)


async def test_a_cancellation_is_gone_on_with_where_its_process_died(drill: Drill) -> None:
    """Red when nothing but the request knows of it: what is held would stay so."""
    await drill.hub.start()
    await subscribe(drill, enabled=False)
    event = await publish(drill)
    await ask_into_a_crash(drill, "after_finish:kill:2", "DELETE", f"/v1/events/{event}")
    await until(lambda: has(drill, event, {"cancelled": LANES}), PATIENCE_SECONDS)


async def test_a_replay_is_gone_on_with_where_its_process_died(drill: Drill) -> None:
    """Red when nothing but the request knows of it, or when it begins again at its beginning."""
    await drill.hub.start()
    subscriptions = await subscribe(drill)
    event = await publish(drill)
    await until(lambda: has(drill, event, {"delivered": LANES}), PATIENCE_SECONDS)
    await asyncio.gather(*(asked(drill, "POST", f"/v1/subscriptions/{id_}/disable") for id_ in subscriptions))
    await ask_into_a_crash(drill, "after_finish:kill:2", "POST", f"/v1/events/{event}/replay")
    await until(lambda: has(drill, event, {"held": LANES}), PATIENCE_SECONDS)
