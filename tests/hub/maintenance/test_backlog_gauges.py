"""What waits in the whole hub is shown by channel, and nothing is shown while the store cannot tell."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.errors import Unavailable
from hub.maintenance import backlog_gauges
from hub.maintenance.backlog_gauges import FRESH_SECONDS
from tests.api_support import Api

pytestmark = pytest.mark.usefixtures("unswept")

NOTHING_WAITS = {(member, "file"): 0.0 for member in ("pending", "held", "dead", "oldest_pending_seconds")}


async def shown(api: Api) -> dict[tuple[str, str], float]:
    text = (await api.client(None).get("/metrics")).text
    return {
        (sample.name.removeprefix("hub_deliveries_"), sample.labels["channel"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("hub_deliveries_") and not sample.name.endswith("_total")
    }


async def test_it_counts_pending_held_and_dead_of_every_tenant_with_the_age_of_the_oldest(api: Api) -> None:
    later = {"deliver_at": "2027-01-01T00:00:00Z"}
    held = await api.subscribe(event_types=["held.*"])
    await api.admin.post(f"/v1/subscriptions/{held['id']}/disable")
    await api.publish("held.one")
    api.clock.advance(60)
    other = await api.holder("manage", "events:write", tenant="other")
    for client in (api.admin, other):
        await api.subscribe(client, event_types=["late.*"])
        await client.post("/v1/events", json={"type": "late.one", "data": 1, **later})
    api.clock.advance(90)
    assert await shown(api) == {
        ("pending", "file"): 2,
        ("held", "file"): 1,
        ("dead", "file"): 0,
        ("oldest_pending_seconds", "file"): 90,
    }


async def test_it_is_read_again_once_it_is_not_fresh(api: Api) -> None:
    await api.subscribe()
    assert await shown(api) == NOTHING_WAITS
    await api.publish(deliver_at="2027-01-01T00:00:00Z")
    assert await shown(api) == NOTHING_WAITS
    api.clock.advance(FRESH_SECONDS)
    assert (await shown(api))["pending", "file"] == 1


@pytest.mark.parametrize("trouble", ["away", "slow"])
async def test_while_the_store_cannot_tell_the_rest_is_shown(
    api: Api, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    async def read(*arguments: object) -> None:
        if trouble == "away":
            raise Unavailable("The store is away.")
        await api.clock.sleep(10_000)

    await api.subscribe()
    await api.publish(deliver_at="2027-01-01T00:00:00Z")
    assert await shown(api) != {}
    monkeypatch.setattr(backlog_gauges, "READ_SECONDS", 0.01)
    monkeypatch.setattr(type(api.store.upkeep), "backlog", read)
    api.clock.advance(FRESH_SECONDS)
    answer = await api.client(None).get("/metrics")
    assert (answer.status_code, await shown(api)) == (200, {})
    assert "hub_events_total" in answer.text
