"""Subscriptions: making and changing them, how they fare, and trying them out."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.api_support import ORDER, Api, open_api, pointers, settings_for
from tests.receivers import Answer, Arrival, Receiver

pytestmark = pytest.mark.usefixtures("unswept")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA"
HOOK = {"url": "https://example.com/hooks", "secret": SECRET, "headers": {"X-Token": "t-0123456789"}}
SPEC = {"name": "all", "event_types": ["*"], "channel": "webhook", "target": HOOK}


async def get(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = (await api.admin.get(f"/v1/subscriptions/{made['id']}")).json()
    return shown


async def stored_target(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    """The target as it is sent to."""
    subscription = api.hub.subscriptions.find("default", made["id"])
    shown = subscription.target.model_dump()
    return {
        "url": str(shown["url"]),
        "secret": shown["secret"].get_secret_value(),
        "headers": {name: value.get_secret_value() for name, value in shown["headers"].items()},
    }


def is_signed_by(secret: str, arrival: Arrival) -> bool:
    """Whether one of the signatures is what the oracle makes with this secret."""
    at = datetime.fromtimestamp(int(arrival.headers["webhook-timestamp"])).astimezone()
    expected = Webhook(secret).sign(arrival.headers["webhook-id"], at, arrival.body.decode())
    return expected in arrival.headers["webhook-signature"].split(" ")


# -- making ------------------------------------------------------------------------------------------------------------


async def test_a_new_subscription_is_answered_with_its_defaults_and_without_its_secrets(api: Api) -> None:
    made = await api.admin.post("/v1/subscriptions", json=SPEC)
    shown = made.json()
    assert made.status_code == 201
    assert made.headers["location"] == f"/v1/subscriptions/{shown['id']}"
    assert shown["id"].startswith("sub_")
    assert shown["created_at"] == shown["updated_at"] == "2026-11-23T12:00:00Z"
    assert (shown["enabled"], shown["max_in_flight"], shown["retry_schedule"]) == (True, 10, None)
    assert shown["target"]["url"] == HOOK["url"]
    assert SECRET not in made.text
    assert "t-0123456789" not in made.text
    assert (await get(api, shown))["target"] == shown["target"]


async def test_a_webhook_without_a_secret_is_given_one(api: Api) -> None:
    made = await api.subscribe(channel="webhook", target={"url": "https://example.com/hooks"})
    answer = await api.admin.get(f"/v1/subscriptions/{made['id']}/secret")
    assert answer.headers["cache-control"] == "no-store"
    Webhook(answer.json()["secret"])


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"name": ""}, ["/name"]),
        ({"event_types": []}, ["/event_types"]),
        ({"event_types": ["order.*", "order.*.x"]}, ["/event_types/1"]),
        ({"channel": "pigeon"}, ["/channel"]),
        ({"target": {}}, ["/target/url"]),
        ({"target": {"url": "ftp://example.com"}}, ["/target/url"]),
        ({"target": {**HOOK, "previous_secrets": []}}, ["/target/previous_secrets"]),
        ({"target": {**HOOK, "colour": "red"}}, ["/target/colour"]),
        ({"filter": {"data.total": {"over": 1}}}, ["/filter/data.total/over"]),
        ({"filter": {"total": 1}}, ["/filter/total"]),
        ({"template": {"poem": "{{ data }}"}}, ["/template/poem"]),
        ({"retry_schedule": [-1]}, ["/retry_schedule/0"]),
        ({"timeout": 31}, ["/timeout"]),
        ({"max_in_flight": 0}, ["/max_in_flight"]),
        ({"rate_limit": {"per_second": 0}}, ["/rate_limit/per_second"]),
        ({"colour": "red"}, ["/colour"]),
    ],
)
async def test_a_subscription_that_breaks_a_rule_is_refused(
    api: Api, changed: dict[str, Any], wrong: list[str]
) -> None:
    refused = await api.admin.post("/v1/subscriptions", json={**SPEC, **changed})
    assert refused.status_code == 422, refused.text
    assert pointers(refused) == wrong
    assert (await api.admin.get("/v1/subscriptions")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b'{"target": ' + b'{"a":' * 200 + b"1" + b"}" * 201, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"", "application/json", 422),
        (b"[]", "application/json", 422),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(api: Api, body: bytes, media_type: str, status: int) -> None:
    refused = await api.admin.post("/v1/subscriptions", content=body, headers={"content-type": media_type})
    assert refused.status_code == status
    assert refused.headers["content-type"] == "application/problem+json"


async def test_subscriptions_are_listed_newest_first_page_by_page(api: Api) -> None:
    made = [(await api.subscribe(name=str(number)))["id"] for number in range(3)]
    first = (await api.admin.get("/v1/subscriptions?limit=2")).json()
    rest = (await api.admin.get("/v1/subscriptions", params={"cursor": first["next_cursor"]})).json()
    assert [shown["id"] for shown in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None


# -- changing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_a_merge_patch_changes_what_it_names_and_removes_what_is_null(api: Api, media_type: str) -> None:
    made = await api.subscribe(filter={"data.total": {"gte": 100}, "data.currency": "EUR"}, timeout=5)
    api.clock.advance(60)
    patch = b'{"name": "renamed", "timeout": null, "filter": {"data.currency": null}}'
    patched = await api.admin.patch(
        f"/v1/subscriptions/{made['id']}", content=patch, headers={"content-type": media_type}
    )
    assert patched.status_code == 200
    assert patched.json() == {
        **made,
        "name": "renamed",
        "timeout": None,
        "filter": {"data.total": {"gte": 100}},
        "updated_at": "2026-11-23T12:01:00Z",
    }


async def test_a_secret_that_comes_back_masked_stays_as_it_is(api: Api) -> None:
    made = (await api.admin.post("/v1/subscriptions", json=SPEC)).json()
    moved = {**made["target"], "url": "https://example.com/moved"}
    patched = await api.admin.patch(f"/v1/subscriptions/{made['id']}", json={"target": moved})
    assert patched.status_code == 200
    assert await stored_target(api, made) == {**HOOK, "url": "https://example.com/moved"}


async def test_a_secret_is_replaced_by_a_new_one_and_a_header_removed_by_null(api: Api) -> None:
    made = (await api.admin.post("/v1/subscriptions", json=SPEC)).json()
    other = "whsec_" + "B" * 40
    patch = {"target": {"secret": other, "headers": {"X-Token": None, "X-Other": "new"}}}
    await api.admin.patch(f"/v1/subscriptions/{made['id']}", json=patch)
    assert await stored_target(api, made) == {"url": HOOK["url"], "secret": other, "headers": {"X-Other": "new"}}


async def test_another_channel_takes_nothing_over_from_the_old_target(api: Api) -> None:
    made = (await api.admin.post("/v1/subscriptions", json=SPEC)).json()
    path = f"/v1/subscriptions/{made['id']}"
    patched = await api.admin.patch(path, json={"channel": "file", "target": {"name": "orders"}})
    assert (patched.status_code, patched.json()["target"]) == (200, {"name": "orders"})
    refused = await api.admin.patch(path, json={"channel": "webhook"})
    assert (refused.status_code, pointers(refused)) == (422, ["/target/url"])


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({"name": None}, ["/name"]),
        ({"colour": "red"}, ["/colour"]),
        ({"id": "sub_1"}, ["/id"]),
        ({"event_types": ["*.created"]}, ["/event_types/0"]),
        ({"target": {"url": None}}, ["/target/url"]),
        ({"target": None}, ["/target"]),
    ],
)
async def test_a_patch_that_breaks_a_rule_changes_nothing(api: Api, patch: dict[str, Any], wrong: list[str]) -> None:
    made = (await api.admin.post("/v1/subscriptions", json=SPEC)).json()
    refused = await api.admin.patch(f"/v1/subscriptions/{made['id']}", json=patch)
    assert refused.status_code == 422
    assert pointers(refused) == wrong
    shown = await get(api, made)
    assert {name: shown[name] for name in made} == made


async def test_a_changed_subscription_gets_the_next_event_as_it_now_is(api: Api) -> None:
    made = await api.subscribe(event_types=["user.*"])
    await api.publish("order.created", ORDER)
    await api.admin.patch(f"/v1/subscriptions/{made['id']}", json={"event_types": ["order.*"]})
    event_id = await api.publish("order.created", ORDER)
    (delivered,) = await api.deliveries("delivered")
    assert delivered["event_id"] == event_id


async def test_deleting_a_subscription_cancels_what_it_has_not_been_sent(api: Api) -> None:
    made = await api.subscribe(enabled=False)
    await api.publish()
    deleted = await api.admin.delete(f"/v1/subscriptions/{made['id']}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    (cancelled,) = await api.deliveries("cancelled")
    assert cancelled["reason"] == "the subscription was deleted"
    assert (await api.admin.get(f"/v1/subscriptions/{made['id']}")).status_code == 404


async def test_a_subscription_is_disabled_and_enabled_again(api: Api) -> None:
    made = await api.subscribe()
    path = f"/v1/subscriptions/{made['id']}"
    disabled = (await api.admin.post(f"{path}/disable")).json()
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "disabled on request")
    enabled = (await api.admin.post(f"{path}/enable")).json()
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)


# -- health ------------------------------------------------------------------------------------------------------------


async def test_a_subscription_is_healthy_while_its_target_takes_everything(api: Api) -> None:
    made = await api.subscribe()
    health = (await get(api, made))["health"]
    assert health == {
        "state": "healthy", "consecutive_failures": 0, "open_until": None, "pending": 0, "last_delivery": None
    }  # fmt: skip
    await api.publish()
    (delivered,) = await api.deliveries("delivered")
    assert (await get(api, made))["health"]["last_delivery"] == delivered


async def test_a_subscription_is_failing_after_a_failure_and_open_after_many(api: Api) -> None:
    async with Receiver(lambda _: 500) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, retry_schedule=[600])
        await api.publish()
        await api.until(lambda: has_failed(api, made, 1))
        health = (await get(api, made))["health"]
        assert (health["state"], health["consecutive_failures"], health["pending"]) == ("failing", 1, 1)
        for _ in range(9):
            await api.publish()
        await api.until(lambda: has_failed(api, made, 10))
        await api.deliveries("pending", 10)
    health = (await get(api, made))["health"]
    assert (health["state"], health["pending"]) == ("open", 10)
    assert health["open_until"] > "2026-11-23T12:00:01"


async def has_failed(api: Api, made: dict[str, Any], times: int) -> bool:
    return bool((await get(api, made))["health"]["consecutive_failures"] >= times)


async def test_a_target_that_is_gone_disables_its_subscription_with_that_reason(api: Api) -> None:
    async with Receiver([410]) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url})
        await api.publish()
        await api.until(lambda: is_disabled(api, made))
    assert "410" in (await get(api, made))["disabled_reason"]


async def is_disabled(api: Api, made: dict[str, Any]) -> bool:
    return bool((await get(api, made))["health"]["state"] == "disabled")


# -- trying out --------------------------------------------------------------------------------------------------------


async def test_a_trial_sends_the_example_of_the_first_matching_type_and_stores_nothing(api: Api) -> None:
    async with Receiver([Answer(201, b"thanks")]) as receiver:
        made = await api.subscribe(
            channel="webhook", target={"url": receiver.url}, event_types=["none.such", "order.*"]
        )
        answer = await api.admin.post(f"/v1/subscriptions/{made['id']}/test")
    assert answer.status_code == 200
    trial = answer.json()
    assert (trial["outcome"], trial["status_code"], trial["response_body"]) == ("succeeded", 201, "thanks")
    assert trial["started_at"] == "2026-11-23T12:00:00Z"
    assert trial["duration_ms"] >= 0
    (arrival,) = receiver.requests
    assert arrival.json()["type"] == "order.cancelled"
    example = (await api.admin.get("/v1/event-types/order.cancelled")).json()["example"]
    assert arrival.json()["data"] == example
    assert (await api.admin.get("/v1/events")).json()["items"] == []
    assert (await api.admin.get("/v1/deliveries")).json()["items"] == []


@pytest.mark.parametrize(
    ("pattern", "type"), [("none.such", "none.such"), ("none.*", "none.test"), ("stock.*", "stock.low")]
)
async def test_the_sample_fits_the_pattern_even_when_nobody_gave_an_example(api: Api, pattern: str, type: str) -> None:
    await api.admin.put("/v1/event-types/stock.low", json={"example": {"sku": "A-1"}})
    async with Receiver() as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, event_types=[pattern])
        await api.admin.post(f"/v1/subscriptions/{made['id']}/test")
    assert receiver.requests[0].json()["type"] == type


async def test_a_trial_that_fails_says_why(api: Api) -> None:
    async with Receiver([Answer(500, b"no")]) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, enabled=False)
        trial = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
    assert (trial["outcome"], trial["status_code"], trial["response_body"]) == ("failed", 500, "no")
    assert trial["error"]


async def test_a_trial_is_bounded_in_time(api: Api) -> None:
    async with Receiver([Answer(delay=5)]) as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url}, timeout=0.05)
        trial = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
    assert trial["error"] == "no answer within 0.05 s"


async def test_a_trial_never_reaches_a_private_address(tmp_path: Path) -> None:
    settings = settings_for(tmp_path).model_copy(update={"allow_private_targets": ()})
    async with open_api(settings) as api, Receiver() as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url})
        trial = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
        assert trial["outcome"] == "failed"
        assert receiver.requests == []


# -- signing secrets ---------------------------------------------------------------------------------------------------


async def test_after_a_rotation_messages_are_signed_with_both_secrets_until_the_grace_is_over(api: Api) -> None:
    async with Receiver() as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url, "secret": SECRET})
        path = f"/v1/subscriptions/{made['id']}"
        rotated = await api.admin.post(f"{path}/rotate-secret", json={"grace_seconds": 60})
        assert rotated.status_code == 200
        fresh = rotated.json()["secret"]
        assert fresh != SECRET
        assert (await api.admin.get(f"{path}/secret")).json() == {"secret": fresh}
        await api.publish()
        await receiver.arrived(1)
        api.clock.advance(61)
        await api.publish()
        during, after = await receiver.arrived(2)
    assert is_signed_by(SECRET, during)
    assert is_signed_by(fresh, during)
    assert not is_signed_by(SECRET, after)
    assert is_signed_by(fresh, after)


async def test_a_rotation_without_a_body_grants_a_day(api: Api) -> None:
    made = (await api.admin.post("/v1/subscriptions", json=SPEC)).json()
    await api.admin.post(f"/v1/subscriptions/{made['id']}/rotate-secret")
    target = api.hub.subscriptions.find("default", made["id"]).target.model_dump()
    (previous,) = target["previous_secrets"]
    assert previous["expires_at"].isoformat() == "2026-11-24T12:00:00+00:00"


@pytest.mark.parametrize("grace", [-1, 30 * 86_400 + 1, "soon"])
async def test_a_grace_is_at_most_thirty_days(api: Api, grace: object) -> None:
    made = (await api.admin.post("/v1/subscriptions", json=SPEC)).json()
    refused = await api.admin.post(f"/v1/subscriptions/{made['id']}/rotate-secret", json={"grace_seconds": grace})
    assert (refused.status_code, pointers(refused)) == (422, ["/grace_seconds"])


@pytest.mark.parametrize(("method", "path"), [("GET", "secret"), ("POST", "rotate-secret")])
async def test_a_channel_that_does_not_sign_has_no_secret(api: Api, method: str, path: str) -> None:
    made = await api.subscribe()
    assert (await api.admin.request(method, f"/v1/subscriptions/{made['id']}/{path}")).status_code == 409
