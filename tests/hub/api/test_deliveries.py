"""Looking at deliveries, and sending them again or not at all."""

from datetime import timedelta

import pytest

from hub.testing.receivers import Receiver, Reply
from tests.api_support import Api

pytestmark = pytest.mark.usefixtures("unswept")


async def test_a_delivery_shows_every_attempt(api: Api) -> None:
    async with Receiver([Reply(500, b"no"), 200]) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, retry_schedule=[60])
        event_id = await api.publish()
        (waiting,) = await api.deliveries("pending", subscription_id=made["id"])
        await api.until(lambda: attempted(api, waiting["id"], 1))
        await api.clock.elapse(75)
        (delivered,) = await api.deliveries("delivered")
    shown = (await api.admin.get(f"/v1/deliveries/{delivered['id']}")).json()
    assert shown["event_id"] == event_id
    assert shown["attempt_count"] == 2
    first, second = shown["attempts"]
    assert (first["number"], first["cause"], first["outcome"], first["status_code"]) == (1, "automatic", "failed", 500)
    assert first["response_body"] == "no"
    assert first["started_at"] == "2026-11-23T12:00:00Z"
    assert (second["number"], second["outcome"], second["status_code"]) == (2, "succeeded", 200)


async def attempted(api: Api, delivery_id: str, count: int) -> bool:
    return len((await api.admin.get(f"/v1/deliveries/{delivery_id}")).json()["attempts"]) >= count


async def test_deliveries_are_listed_by_each_of_their_members(api: Api) -> None:
    files = await api.subscribe(event_types=["order.*"])
    async with Receiver([410]) as receiver:
        hooks = await api.subscribe(channel="webhook", target={"url": receiver.url}, event_types=["stock.*"])
        stock = await api.publish("stock.low")
        await api.deliveries("dead")
    api.clock.advance(60)
    order = await api.publish("order.parked")
    await api.deliveries("delivered")
    for query, event_id in [
        ({"status": "dead"}, stock),
        ({"status": "delivered"}, order),
        ({"subscription_id": files["id"]}, order),
        ({"subscription_id": hooks["id"]}, stock),
        ({"event_id": stock}, stock),
        ({"channel": "file"}, order),
        ({"type": "stock.*"}, stock),
        ({"since": "2026-11-23T12:01:00Z"}, order),
        ({"until": "2026-11-23T12:01:00Z"}, stock),
    ]:
        answer = await api.admin.get("/v1/deliveries", params=query)
        assert [delivery["event_id"] for delivery in answer.json()["items"]] == [event_id], query
    page = (await api.admin.get("/v1/deliveries?limit=1")).json()
    assert [delivery["event_id"] for delivery in page["items"]] == [order]
    rest = (await api.admin.get("/v1/deliveries", params={"cursor": page["next_cursor"]})).json()
    assert [delivery["event_id"] for delivery in rest["items"]] == [stock]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("status=lost", 422),
        ("type=*.x", 422),
        ("since=now", 422),
        ("channel=mail", 422),
        ("event_id=o-77", 422),
        ("subscription_id=sales+room", 422),
        ("cursor=AAAA", 400),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(api: Api, query: str, status: int) -> None:
    assert (await api.admin.get(f"/v1/deliveries?{query}")).status_code == status


async def test_a_dead_delivery_is_replayed_with_the_same_message_id(api: Api) -> None:
    async with Receiver([400]) as receiver:
        await api.subscribe(channel="webhook", target={"url": receiver.url}, retry_schedule=[])
        event_id = await api.publish()
        (dead,) = await api.deliveries("dead")
        again = await api.admin.post(f"/v1/deliveries/{dead['id']}/replay")
        assert again.status_code == 202
        assert (again.json()["status"], again.json()["reason"]) == ("pending", "replay requested")
        await api.deliveries("delivered")
        assert [arrival.headers["webhook-id"] for arrival in receiver.requests] == [event_id, event_id]
    attempts = (await api.admin.get(f"/v1/deliveries/{dead['id']}")).json()["attempts"]
    assert [(attempt["cause"], attempt["outcome"]) for attempt in attempts] == [
        ("automatic", "failed"),
        ("replay", "succeeded"),
    ]


async def test_a_pending_delivery_is_cancelled_once(api: Api) -> None:
    await api.subscribe()
    await api.publish(deliver_at=(api.clock.now() + timedelta(hours=1)).isoformat())
    (waiting,) = await api.deliveries("pending")
    cancelled = await api.admin.post(f"/v1/deliveries/{waiting['id']}/cancel")
    assert cancelled.status_code == 200
    assert (cancelled.json()["status"], cancelled.json()["reason"]) == ("cancelled", "cancelled on request")
    assert "next_attempt_at" not in cancelled.json() or cancelled.json()["next_attempt_at"] is None
    assert (await api.admin.post(f"/v1/deliveries/{waiting['id']}/cancel")).status_code == 409


async def test_a_delivery_of_a_disabled_subscription_is_held_until_it_is_enabled(api: Api) -> None:
    made = await api.subscribe(enabled=False)
    await api.publish()
    (held,) = await api.deliveries("held")
    assert held["reason"] == "the subscription is disabled: disabled on request"
    assert (await api.admin.get("/v1/deliveries?status=pending")).json()["items"] == []
    (await api.admin.post(f"/v1/subscriptions/{made['id']}/enable")).raise_for_status()
    (delivered,) = await api.deliveries("delivered")
    assert delivered["id"] == held["id"]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/replay"), ("POST", "/cancel")])
async def test_an_unknown_delivery_answers_404(api: Api, method: str, path: str) -> None:
    answer = await api.admin.request(method, f"/v1/deliveries/dlv_unknown{path}")
    assert answer.status_code == 404
    assert "errors" not in answer.json()


async def test_a_delivery_without_attempts_shows_none(api: Api) -> None:
    await api.subscribe(enabled=False)
    await api.publish()
    (held,) = await api.deliveries("held")
    shown = (await api.admin.get(f"/v1/deliveries/{held['id']}")).json()
    assert (shown["attempt_count"], shown["attempts"]) == (0, [])


async def test_a_delivery_names_its_subscription_wherever_it_is_shown(api: Api) -> None:
    made = await api.subscribe(name="order log")
    event_id = await api.publish()
    (delivered,) = await api.deliveries("delivered")
    path = f"/v1/deliveries/{delivered['id']}"
    shown = [
        delivered,
        (await api.admin.get(path)).json(),
        *(await api.admin.get(f"/v1/events/{event_id}/deliveries")).json()["items"],
        (await api.admin.post(f"{path}/replay")).json(),
    ]
    assert {one["subscription_name"] for one in shown} == {"order log"}
    (await api.admin.patch(f"/v1/subscriptions/{made['id']}", json={"name": "renamed"})).raise_for_status()
    assert (await api.admin.get(path)).json()["subscription_name"] == "renamed"
    (await api.admin.delete(f"/v1/subscriptions/{made['id']}")).raise_for_status()
    assert (await api.admin.get(path)).json()["subscription_name"] is None
