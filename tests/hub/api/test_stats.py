"""The numbers of a tenant."""

from datetime import timedelta

from hub.testing.receivers import Receiver
from tests.api_support import Api


async def test_a_hub_that_did_nothing_yet_counts_nothing(api: Api) -> None:
    stats = (await api.admin.get("/v1/stats")).json()
    assert stats == {
        "since": "2026-11-22T12:00:00Z",
        "accepted": 0,
        "delivered": 0,
        "failed_attempts": 0,
        "dead": 0,
        "pending": 0,
        "oldest_pending_age_seconds": None,
        "latency_ms": {},
        "channels": {},
        "recent_failures": [],
        "at_least": False,
    }


async def test_what_happened_is_counted_in_all_and_by_channel(api: Api) -> None:
    async with Receiver([400]) as receiver:
        hook = await api.subscribe(channel="webhook", target={"url": receiver.url}, retry_schedule=[])
        await api.subscribe()
        await api.publish()
        await api.deliveries("dead")
        await api.deliveries("delivered")
    await api.publish(deliver_at=(api.clock.now() + timedelta(hours=1)).isoformat())
    api.clock.advance(90)
    stats = (await api.admin.get("/v1/stats")).json()
    assert (stats["accepted"], stats["delivered"], stats["failed_attempts"], stats["dead"]) == (2, 1, 1, 1)
    assert (stats["pending"], stats["oldest_pending_age_seconds"]) == (2, 90)
    assert stats["latency_ms"].keys() == {"p50", "p90", "p99"}
    assert stats["channels"].keys() == {"file", "webhook"}
    assert (stats["channels"]["file"]["delivered"], stats["channels"]["webhook"]["dead"]) == (1, 1)
    (failure,) = stats["recent_failures"]
    assert (failure["status_code"], failure["channel"], failure["subscription_id"]) == (400, "webhook", hook["id"])
    assert failure["at"] == "2026-11-23T12:00:00Z"
    of_files = (await api.admin.get("/v1/stats?channel=file")).json()
    assert (of_files["delivered"], of_files["failed_attempts"], of_files["recent_failures"]) == (1, 0, [])


async def test_only_what_happened_since_then_is_counted(api: Api) -> None:
    await api.subscribe()
    await api.publish()
    await api.deliveries("delivered")
    api.clock.advance(60)
    stats = (await api.admin.get("/v1/stats", params={"since": "2026-11-23T14:00:30+02:00"})).json()
    assert (stats["since"], stats["accepted"], stats["delivered"]) == ("2026-11-23T12:00:30Z", 0, 0)
    api.clock.advance(86_400)
    assert (await api.admin.get("/v1/stats")).json()["accepted"] == 0
