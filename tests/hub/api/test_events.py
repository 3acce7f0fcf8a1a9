"""Looking at events, and steering what is to be done with them."""

from datetime import timedelta

import pytest

from hub.testing.receivers import Receiver
from tests.api_support import ORDER, Api, pointers

pytestmark = pytest.mark.usefixtures("unswept")


async def listed(api: Api, **query: str | int) -> list[str]:
    answer = await api.admin.get("/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return [event["id"] for event in answer.json()["items"]]


async def test_events_are_listed_newest_first_page_by_page(api: Api) -> None:
    published = []
    for number in range(5):
        published.append(await api.publish(data=number))
        api.clock.advance(1)
    seen, cursor = [], None
    while True:
        answer = (
            await api.admin.get("/v1/events", params={"limit": 2, "cursor": cursor} if cursor else {"limit": 2})
        ).json()
        assert len(answer["items"]) <= 2
        seen += [event["id"] for event in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert seen == published[::-1]


async def test_events_and_deliveries_are_found_by_what_a_person_remembers(api: Api) -> None:
    await api.subscribe(event_types=["order.*", "user.*"])
    customer = {"email": "Ada@example.com", "phone": "+44 20"}
    order = await api.publish("order.created", {**ORDER, "order_id": "o-77", "customer": customer})
    user = await api.publish("user.verified", {"user_id": "u-42", "email": "grace@example.com"})
    await api.publish("stock.low", {"sku": "MUG-01"})
    found = {"o-7": order, "orders/o-77": order, order: order, " ada@ ": order, "u-4": user, "GRACE": user}
    for q, event_id in found.items():
        assert await listed(api, q=q) == [event_id], q
        deliveries = (await api.admin.get("/v1/deliveries", params={"q": q})).json()
        assert [delivery["event_id"] for delivery in deliveries["items"]] == [event_id], q
        assert "searched_to" not in deliveries
    assert await listed(api, q="o-77", type="user.*") == []
    assert await listed(api, q="+44") == []
    put = await api.admin.put("/v1/event-types/order.created", json={"search": ["data.customer.phone"]})
    assert put.json()["search"] == ["data.customer.phone"]
    assert await listed(api, q="+44") == [order]
    for q in ("", " ", "x" * 201):
        refused = await api.admin.get("/v1/events", params={"q": q})
        assert (refused.status_code, pointers(refused)) == (422, ["/query/q"])


async def test_the_subject_of_an_order_or_a_user_is_known_without_its_path(api: Api) -> None:
    order = await api.publish("order.created", ORDER)
    user = await api.publish("user.verified", {"user_id": "u-42", "email": "grace@example.com"})
    given = await api.publish("order.paid", ORDER, subject="mine")
    assert await listed(api, subject="orders/1001") == [order]
    assert await listed(api, subject="users/u-42") == [user]
    assert await listed(api, subject="mine") == [given]


async def test_events_are_listed_by_type_subject_and_time(api: Api) -> None:
    order = await api.publish("order.created", ORDER, subject="a parcel")
    api.clock.advance(60)
    refund = await api.publish("order.refunded", ORDER)
    api.clock.advance(60)
    stock = await api.publish("stock.low")
    assert await listed(api, type="order.*") == [refund, order]
    assert await listed(api, type="order.created") == [order]
    assert await listed(api, type="*") == [stock, refund, order]
    assert await listed(api, subject="a parcel") == [order]
    assert await listed(api, since="2026-11-23T12:01:00Z") == [stock, refund]
    assert await listed(api, until="2026-11-23T13:02:00+01:00") == [refund, order]


@pytest.mark.parametrize(
    ("query", "status", "wrong"),
    [
        ("type=order.*.x", 422, ["/query/type"]),
        ("limit=201", 422, ["/query/limit"]),
        ("since=today", 422, ["/query/since"]),
        ("since=2026-11-23T12:00:00", 422, ["/query/since"]),
        ("cursor=nonsense", 400, None),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(
    api: Api, query: str, status: int, wrong: list[str] | None
) -> None:
    refused = await api.admin.get(f"/v1/events?{query}")
    assert refused.status_code == status
    assert wrong is None or pointers(refused) == wrong


async def test_an_event_shows_how_many_deliveries_are_in_each_status(api: Api) -> None:
    held = await api.subscribe(enabled=False)
    await api.subscribe()
    event_id = await api.publish()
    await api.deliveries("delivered")
    assert (await api.admin.get(f"/v1/events/{event_id}")).json()["deliveries"] == {"delivered": 1, "held": 1}
    deliveries = (await api.admin.get(f"/v1/events/{event_id}/deliveries")).json()["items"]
    assert {delivery["status"] for delivery in deliveries} == {"delivered", "held"}
    assert held["id"] in {delivery["subscription_id"] for delivery in deliveries}


async def test_every_subscription_has_a_reason_why_it_got_an_event_or_not(api: Api) -> None:
    matched = await api.subscribe(event_types=["order.*"])
    filtered = await api.subscribe(filter={"data.total": {"gte": 100}})
    other_type = await api.subscribe(event_types=["user.*"])
    held = await api.subscribe(enabled=False)
    event_id = await api.publish("order.created", ORDER)
    await api.deliveries("delivered")
    api.clock.advance(1)
    late = await api.subscribe()
    explained = (await api.admin.get(f"/v1/events/{event_id}/explain")).json()["items"]
    outcomes = {item["subscription_id"]: (item["outcome"], item["reason"]) for item in explained}
    assert outcomes[matched["id"]][0] == "matched"
    assert outcomes[filtered["id"]] == ("filtered", "data.total gte 100: was below")
    assert outcomes[other_type["id"]] == ("no_match", "no pattern matches the type order.created")
    assert outcomes[held["id"]][0] == "held"
    assert "disabled on request" in outcomes[held["id"]][1]
    assert outcomes[late["id"]][0] == "no_match"
    assert len(outcomes) == 5
    shown = {item["subscription_id"]: (item["subscription_name"], item["channel"]) for item in explained}
    assert shown[matched["id"]] == (matched["name"], matched["channel"])
    (await api.admin.delete(f"/v1/subscriptions/{matched['id']}")).raise_for_status()
    explained = (await api.admin.get(f"/v1/events/{event_id}/explain")).json()["items"]
    (gone,) = [item for item in explained if item["subscription_id"] == matched["id"]]
    assert (gone["subscription_name"], gone["channel"]) == (None, matched["channel"])


async def test_cancelling_an_event_cancels_what_is_not_yet_sent(api: Api) -> None:
    await api.subscribe(enabled=False)
    await api.subscribe(name="later")
    event_id = await api.publish(deliver_at=(api.clock.now() + timedelta(hours=1)).isoformat())
    cancelled = await api.admin.delete(f"/v1/events/{event_id}")
    assert cancelled.status_code == 200
    assert cancelled.json()["cancelled_at"] == "2026-11-23T12:00:00Z"
    assert cancelled.json()["deliveries"] == {"cancelled": 2}
    await api.clock.elapse(7_200)
    assert (await api.admin.get("/v1/deliveries?status=delivered")).json()["items"] == []


@pytest.mark.parametrize(
    "query", ["/v1/events?since=2026-11-23T12:00:00+01:00", "/v1/events?type=a+b", "/v1/stream?types=a+b"]
)
async def test_a_plus_that_a_url_made_a_space_is_told_in_the_problem(api: Api, query: str) -> None:
    refused = await api.admin.get(query)
    assert refused.status_code == 422
    assert "write + as %2B" in refused.json()["errors"][0]["detail"]


async def test_cancelling_again_changes_nothing(api: Api) -> None:
    event_id = await api.publish()
    first = await api.admin.delete(f"/v1/events/{event_id}")
    api.clock.advance(60)
    assert (await api.admin.delete(f"/v1/events/{event_id}")).json() == first.json()


async def test_an_event_is_replayed_to_all_or_to_some_of_its_subscriptions(api: Api) -> None:
    async with Receiver() as one, Receiver() as other:
        first = await api.subscribe(channel="webhook", target={"url": one.url})
        await api.subscribe(channel="webhook", target={"url": other.url})
        event_id = await api.publish()
        await api.deliveries("delivered", 2)
        some = await api.admin.post(f"/v1/events/{event_id}/replay", json={"subscription_ids": [first["id"]]})
        assert some.status_code == 202
        assert [delivery["subscription_id"] for delivery in some.json()["items"]] == [first["id"]]
        await one.arrived(2)
        await api.deliveries("delivered", 2)
        assert len((await api.admin.post(f"/v1/events/{event_id}/replay")).json()["items"]) == 2
        await one.arrived(3)
        await other.arrived(2)
        assert {arrival.headers["webhook-id"] for arrival in one.requests + other.requests} == {event_id}


async def test_an_event_is_not_replayed_to_a_subscription_that_never_was_to_get_it(api: Api) -> None:
    event_id = await api.publish()
    late = await api.subscribe()
    refused = await api.admin.post(f"/v1/events/{event_id}/replay", json={"subscription_ids": [late["id"]]})
    assert refused.status_code == 422
    assert pointers(refused) == ["/subscription_ids/0"]


async def test_a_cancelled_event_is_not_replayed(api: Api) -> None:
    event_id = await api.publish()
    (await api.admin.delete(f"/v1/events/{event_id}")).raise_for_status()
    assert (await api.admin.post(f"/v1/events/{event_id}/replay")).status_code == 409


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/deliveries"), ("GET", "/explain"), ("DELETE", ""), ("POST", "/replay")],
)
async def test_an_unknown_event_answers_404(api: Api, method: str, path: str) -> None:
    assert (await api.admin.request(method, f"/v1/events/evt_unknown{path}")).status_code == 404
