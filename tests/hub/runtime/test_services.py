"""What services do by themselves, so that no route, task or command has to remember it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.cluster.roles import Role
from hub.errors import HubError
from hub.publishing.event import parse_native
from tests.api_support import Api, open_api, settings_for
from tests.hub.runtime.parts import Start


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Without housekeeping, whose sweeps would find the work that nobody was told of."""
    async with open_api(settings_for(tmp_path, fanout_inline_max=1)) as api:
        await api.services.housekeeping.stop(0)
        yield api


async def test_whoever_publishes_through_the_publisher_has_the_worker_told(api: Api) -> None:
    await api.subscribe()
    await api.services.publisher.publish_one("default", parse_native(b'{"type": "stock.low", "data": 1}'), None)
    await api.deliveries("delivered")


async def test_very_many_deliveries_are_begun_at_once_too(api: Api) -> None:
    for _ in range(2):
        await api.subscribe()
    await api.services.publisher.publish("default", [parse_native(b'{"type": "stock.low", "data": 1}')], None)
    await api.deliveries("delivered", 2)


async def test_whoever_replays_through_the_service_has_the_worker_told(api: Api) -> None:
    await api.subscribe()
    event_id = await api.publish()
    (sent,) = await api.deliveries("delivered")
    await api.services.deliveries.replay("default", sent["id"])

    async def sent_times(number: int) -> bool:
        return len(await api.services.deliveries.attempts("default", sent["id"])) == number

    await api.until(lambda: sent_times(2))
    await api.services.deliveries.replay_event("default", event_id, None)
    await api.until(lambda: sent_times(3))


async def test_machines_that_would_each_make_an_admin_key_are_told_to_share_one(start: Start) -> None:
    await start(Role.WEB, admin_key=None)
    with pytest.raises(HubError, match="HUB_ADMIN_KEY"):
        await start(Role.WEB, admin_key=None)
    await start(Role.WORKER, admin_key=None)
    await start(Role.WEB, admin_key="a-key-that-the-operator-has-set-anew")
