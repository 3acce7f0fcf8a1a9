"""Subscriptions: making and changing them, and the secrets that their messages are signed with."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook

from hub.models import Record
from hub.testing.receivers import Arrival, Receiver
from tests.api_support import ORDER, Api, pointers

pytestmark = pytest.mark.usefixtures("unswept")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA"
HOOK = {"url": "https://example.com/hooks", "secret": SECRET, "headers": {"X-Token": "t-0123456789"}}
SPEC: dict[str, Any] = {"name": "all", "event_types": ["*"], "channel": "webhook", "target": HOOK}


async def get(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = (await api.admin.get(f"/v1/subscriptions/{made['id']}")).json()
    return shown


async def stored_target(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    """The target as it is sent to."""
    subscription = api.services.subscriptions.find("default", made["id"])
    shown = subscription.target.model_dump()
    return {
        "url": str(shown["url"]),
        "secret": shown["secret"].get_secret_value(),
        "headers": {name: value.get_secret_value() for name, value in shown["headers"].items()},
    }


# -- making -----------------------------------------------------------------------------------------------------------


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
        ({"filter": {"data.total": {"gte": 5, "lt": 5}}}, ["/filter/data.total/lt"]),
        ({"filter": {"type": "user.deleted"}, "event_types": ["order.*"]}, ["/filter/type"]),
        ({"template": {"poem": "{{ data }}"}}, ["/template/poem"]),
        ({"retry_schedule": [-1]}, ["/retry_schedule/0"]),
        ({"timeout": 31}, ["/timeout"]),
        ({"max_in_flight": 0}, ["/max_in_flight"]),
        ({"rate_limit": {"per_second": 0}}, ["/rate_limit/per_second"]),
        ({"rate_limit": {"per_second": 9e-6}}, ["/rate_limit/per_second"]),
        ({"timeout": 0.001}, ["/timeout"]),
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


CUSTOM = {"url": "https://example.com/orders", "method": "PUT", "format": "custom"}


@pytest.mark.parametrize(
    ("target", "template", "wrong"),
    [
        (CUSTOM, {"body": '{"id": {{ data.order_id | json }}, "note": "{{ data.note }}"}'}, []),
        (CUSTOM, {"body": '{"id": {{ data.customer.name }}}'}, ["/template/body"]),
        (CUSTOM, {"body": '{"id": '}, ["/template/body"]),
        (CUSTOM, {"body": {"id": "x"}}, ["/template/body"]),
        (CUSTOM, {"text": "x"}, ["/template/text"]),
        ({**CUSTOM, "headers": {"content-type": "text/plain"}}, {"body": "{"}, []),
        ({"url": "https://example.com"}, {"body": "{}"}, ["/template/body"]),
    ],
)
async def test_the_template_of_a_custom_webhook_is_tried_with_the_examples(
    api: Api, target: dict[str, Any], template: dict[str, Any], wrong: list[str]
) -> None:
    spec = {**SPEC, "event_types": ["order.*"], "target": target, "template": template}
    made = await api.admin.post("/v1/subscriptions", json=spec)
    assert made.status_code == (422 if wrong else 201), made.text
    assert not wrong or pointers(made) == wrong


async def test_examples_that_the_filter_keeps_out_are_not_tried(api: Api) -> None:
    template = {"body": '{"total": {{ data.total }}}'}
    await api.subscribe(channel="webhook", target=CUSTOM, template=template, filter={"type": {"prefix": "order."}})
    refused = {**SPEC, "target": CUSTOM, "template": template}
    answer = await api.admin.post("/v1/subscriptions", json=refused)
    assert pointers(answer) == ["/template/body"]
    assert "with the example of user.deleted" in answer.json()["errors"][0]["detail"]


async def test_a_webhook_without_a_template_may_be_given_an_empty_one(api: Api) -> None:
    made = await api.admin.post("/v1/subscriptions", json={**SPEC, "template": {}})
    assert made.status_code == 201, made.text


async def test_a_custom_webhook_brings_what_its_template_says_whatever_the_values(api: Api) -> None:
    async with Receiver() as receiver:
        await api.subscribe(
            channel="webhook",
            target={**CUSTOM, "url": receiver.url},
            event_types=["stock.*"],
            template={
                "body": '{"name": "{{ data.name | escape }}", "tags": {{ data.tags | json }}, "n": {{ data.n }}}'
            },
        )
        name = 'Bob "the\\ \n<b>'
        await api.publish(data={"name": name, "tags": ['"', 1], "n": 5})
        (arrival,) = await receiver.arrived(1)
    shown = {"name": "Bob &quot;the\\ \n&lt;b&gt;", "tags": ['"', 1], "n": 5}
    assert (arrival.method, arrival.json()) == ("PUT", shown)


# -- changing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_a_merge_patch_changes_what_it_names_and_removes_what_is_null(api: Api, media_type: str) -> None:
    made = await api.subscribe(filter={"data.total": {"gte": 100}, "data.currency": "EUR"}, timeout=5)
    api.clock.advance(60)
    patch = b'{"name": "renamed", "timeout": null, "filter": {"data.coupon": null, "data.tip": {"eq": null}}}'
    patched = await api.admin.patch(
        f"/v1/subscriptions/{made['id']}", content=patch, headers={"content-type": media_type}
    )
    assert patched.status_code == 200
    assert patched.json() == {
        **made,
        "name": "renamed",
        "timeout": None,
        "filter": {"data.coupon": None, "data.tip": {"eq": None}},
        "updated_at": "2026-11-23T12:01:00Z",
    }


async def test_a_template_and_a_retry_schedule_are_patched_as_a_whole(api: Api) -> None:
    slack = {"webhook_url": "https://hooks.slack.com/services/T0/B0/X"}
    made = await api.subscribe(channel="slack", target=slack, template={"text": "a"}, retry_schedule=[1, 2, 3])
    patch: dict[str, Any] = {"template": {"blocks": []}, "retry_schedule": [5]}
    patched = (await api.admin.patch(f"/v1/subscriptions/{made['id']}", json=patch)).raise_for_status().json()
    assert (patched["template"], patched["retry_schedule"]) == ({"blocks": []}, [5])
    patch = {"template": None, "retry_schedule": None}
    patched = (await api.admin.patch(f"/v1/subscriptions/{made['id']}", json=patch)).raise_for_status().json()
    assert (patched["template"], patched["retry_schedule"]) == (None, None)


async def test_a_put_replaces_all_but_what_the_hub_wrote_and_keeps_the_secret(api: Api) -> None:
    made = await api.subscribe(**SPEC, filter={"data.total": 1}, timeout=5)
    api.clock.advance(60)
    spec = {**SPEC, "name": "replaced", "target": {"url": "https://example.com/new"}}
    replaced = await api.admin.put(f"/v1/subscriptions/{made['id']}", json=spec)
    assert replaced.status_code == 200, replaced.text
    shown = replaced.json()
    assert (shown["id"], shown["created_at"]) == (made["id"], made["created_at"])
    assert (shown["name"], shown["filter"], shown["timeout"]) == ("replaced", None, None)
    assert shown["updated_at"] == "2026-11-23T12:01:00Z"
    assert await stored_target(api, made) == {"url": "https://example.com/new", "secret": SECRET, "headers": {}}


async def test_what_get_shows_may_be_put_back(api: Api) -> None:
    made = await api.subscribe(**SPEC, filter={"data.tip": {"eq": None}}, enabled=False)
    shown = await get(api, made)
    replaced = await api.admin.put(f"/v1/subscriptions/{made['id']}", json={**shown, "name": "again"})
    assert replaced.status_code == 200, replaced.text
    assert replaced.json() == {**made, "name": "again"}
    assert await stored_target(api, made) == HOOK


async def test_a_put_to_another_channel_takes_nothing_over(api: Api) -> None:
    made = await api.subscribe(**SPEC)
    path = f"/v1/subscriptions/{made['id']}"
    replaced = await api.admin.put(path, json={**SPEC, "channel": "file", "target": {"name": "orders"}})
    assert (replaced.status_code, replaced.json()["target"]) == (200, {"name": "orders"})
    back = (await api.admin.put(path, json={**SPEC, "target": {"url": HOOK["url"]}})).raise_for_status()
    assert back.json()["target"]["secret"] != made["target"]["secret"]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"name": None}, ["/name"]),
        ({"colour": "red"}, ["/colour"]),
        ({"target": {"url": "https://example.com", "secret": "whsec_********XXXX"}}, ["/target/secret"]),
        ({"filter": {"data.x": {"gt": 2, "lt": 1}}}, ["/filter/data.x/lt"]),
    ],
)
async def test_a_put_that_breaks_a_rule_changes_nothing(api: Api, changed: dict[str, Any], wrong: list[str]) -> None:
    made = await api.subscribe(**SPEC)
    refused = await api.admin.put(f"/v1/subscriptions/{made['id']}", json={**SPEC, **changed})
    assert (refused.status_code, pointers(refused)) == (422, wrong)
    shown = await get(api, made)
    assert {name: shown[name] for name in made} == made
    assert (await api.admin.put("/v1/subscriptions/sub_none", json=SPEC)).status_code == 404


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
    (await api.admin.patch(f"/v1/subscriptions/{made['id']}", json=patch)).raise_for_status()
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
    (await api.admin.patch(f"/v1/subscriptions/{made['id']}", json={"event_types": ["order.*"]})).raise_for_status()
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


def is_signed_by(secret: str, arrival: Arrival) -> bool:
    """Whether one of the signatures is what the oracle makes with this secret."""
    at = datetime.fromtimestamp(int(arrival.headers["webhook-timestamp"])).astimezone()
    expected = Webhook(secret).sign(arrival.headers["webhook-id"], at, arrival.body.decode())
    return expected in arrival.headers["webhook-signature"].split(" ")


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
    (await api.admin.post(f"/v1/subscriptions/{made['id']}/rotate-secret")).raise_for_status()
    target = api.services.subscriptions.find("default", made["id"]).target.model_dump()
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


# -- what another version has stored -----------------------------------------------------------------------------------

WHY = "cannot be read by this version of the hub: "


@pytest.mark.parametrize(
    ("newer", "reason"),
    [({"channel": "pager"}, f"{WHY}it has no channel pager"), ({"event_types": "*"}, f"{WHY}/event_types")],
)
async def test_a_subscription_that_only_another_version_can_read_is_held_and_says_so_everywhere(
    api: Api, newer: dict[str, Any], reason: str
) -> None:
    core = api.process.core
    whole, made = await api.subscribe(name="whole"), await api.subscribe(channel="webhook", target=HOOK)
    before = await api.publish()
    found = core.catalogue.subscription(made["id"])
    assert found is not None
    (record,) = [one for one in (await core.store.records.changes(0))[0] if one.id == made["id"]]
    doc = orjson.dumps({**orjson.loads(record.doc or b""), **newer})
    await core.catalogue.change(lambda: ([replace(record, doc=doc)], []))

    event = await api.publish()
    assert {one["subscription_id"] for one in await api.deliveries("delivered", 2)} == {whole["id"]}
    shown = await get(api, made)
    assert (shown["unavailable"], shown["enabled"], shown["missing_secrets"]) == (reason, True, [])
    explained = (await api.admin.get(f"/v1/events/{event}/explain")).json()["items"]
    (about,) = [one for one in explained if one["subscription_id"] == made["id"]]
    assert (about["outcome"], reason in about["reason"]) == ("held", True)
    warnings = (await api.admin.get("/readyz")).json()["warnings"]
    assert [warning for warning in warnings if reason in warning]
    checks = (await api.admin.post("/v1/channels/check")).json()["items"]
    assert {"detail": reason, "subscription_id": made["id"]} in [one for item in checks for one in item["problems"]]
    assert b"hub_unreadable_total 1.0" in core.metrics.render()[0]

    path = f"/v1/subscriptions/{made['id']}"
    refused = [
        await api.admin.patch(path, json={"name": "other"}),
        await api.admin.put(path, json=SPEC),
        await api.admin.post(f"{path}/rotate-secret"),
        await api.admin.get(f"{path}/secret"),
    ]
    assert {(answer.status_code, reason in answer.json()["detail"]) for answer in refused} == {(409, True)}
    tried = (await api.admin.post(f"{path}/test")).json()
    assert (tried["outcome"], tried["error"]) == ("failed", reason)
    assert (await api.admin.get("/v1/subscriptions")).json()["items"][0]["id"] == made["id"]
    for switch in ("disable", "enable"):
        assert (await api.admin.post(f"{path}/{switch}")).json()["unavailable"] == reason
    # As it was, once a process of this version can read it.
    await core.catalogue.change(lambda: ([record], []))
    assert (await get(api, made))["target"] == made["target"]
    assert (await api.admin.delete(path)).status_code == 204
    assert (await api.admin.get(f"/v1/events/{before}/explain")).status_code == 200


async def test_other_records_that_only_another_version_can_read_are_warned_of(api: Api) -> None:
    odd = [Record("key", "default", "key_odd", b"{}"), Record("event_type", "default", "odd", b"{}")]
    await api.process.core.catalogue.change(lambda: (odd, []))
    await api.publish()
    assert (await api.admin.get("/readyz")).json()["warnings"] == [
        "Records of the catalogue cannot be read by this version of the hub: 1 of kind event_type, 1 of kind key."
    ]
