"""Who may do what, and that what belongs to another tenant does not exist."""

from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.api_support import ADMIN_KEY, Api, open_api, settings_for

USER = {"email": "ada@example.com"}
WRITE, READ, MANAGE, ADMIN = "events:write", "read", "manage", "admin"
ROUTES = [
    ("POST", "/v1/events", {WRITE}),
    ("POST", "/v1/orders/1/events", {WRITE}),
    ("POST", "/v1/users/1/events", {WRITE}),
    ("GET", "/v1/events", {READ}),
    ("GET", "/v1/events/{event}", {READ}),
    ("GET", "/v1/events/{event}/deliveries", {READ}),
    ("GET", "/v1/events/{event}/explain", {READ}),
    ("DELETE", "/v1/events/{event}", {WRITE, MANAGE}),
    ("POST", "/v1/events/{event}/replay", {MANAGE}),
    ("GET", "/v1/event-types", {WRITE, READ, MANAGE}),
    ("GET", "/v1/event-types/stock.low", {WRITE, READ, MANAGE}),
    ("PUT", "/v1/event-types/stock.low", {MANAGE}),
    ("DELETE", "/v1/event-types/stock.low", {MANAGE}),
    ("POST", "/v1/subscriptions", {MANAGE}),
    ("GET", "/v1/subscriptions", {MANAGE}),
    ("GET", "/v1/subscriptions/{subscription}", {MANAGE}),
    ("PATCH", "/v1/subscriptions/{subscription}", {MANAGE}),
    ("PUT", "/v1/subscriptions/{subscription}", {MANAGE}),
    ("DELETE", "/v1/subscriptions/{subscription}", {MANAGE}),
    ("POST", "/v1/subscriptions/{subscription}/enable", {MANAGE}),
    ("POST", "/v1/subscriptions/{subscription}/disable", {MANAGE}),
    ("POST", "/v1/subscriptions/{subscription}/test", {MANAGE}),
    ("GET", "/v1/subscriptions/{subscription}/secret", {MANAGE}),
    ("POST", "/v1/subscriptions/{subscription}/rotate-secret", {MANAGE}),
    ("GET", "/v1/deliveries", {READ}),
    ("GET", "/v1/deliveries/{delivery}", {READ}),
    ("POST", "/v1/deliveries/{delivery}/replay", {MANAGE}),
    ("POST", "/v1/deliveries/{delivery}/cancel", {MANAGE}),
    ("GET", "/v1/stats", {READ}),
    ("POST", "/v1/keys", set[str]()),
    ("GET", "/v1/keys", set[str]()),
    ("GET", "/v1/keys/key_1", set[str]()),
    ("DELETE", "/v1/keys/key_1", set[str]()),
    ("POST", "/v1/tenants", set[str]()),
    ("GET", "/v1/tenants", set[str]()),
]
BODIES: dict[str, Any] = {
    "PATCH": {},
    "PUT": {"name": "all", "event_types": ["*"], "channel": "file", "target": {"name": "all"}},
}
"""What a route reads before it looks for the thing that is named."""
NAMES = {"event": "evt_1", "subscription": "sub_1", "delivery": "dlv_1"}


async def test_each_route_opens_to_its_scopes_and_to_no_other(api: Api) -> None:
    holders = {scope: await api.holder(scope) for scope in (WRITE, READ, MANAGE, ADMIN)}
    for method, path, enough in ROUTES:
        for scope, client in holders.items():
            answer = await client.request(method, path.format(**NAMES))
            opens = scope == ADMIN or scope in enough
            assert (answer.status_code != 403) == opens, (method, path, scope, answer.text)


async def test_no_route_opens_without_a_good_key(api: Api) -> None:
    for key in (None, "wrong", ADMIN_KEY + "x", "hub_" + "0" * 32 + "_secret"):
        client = api.client(key)
        for method, path, _ in ROUTES:
            answer = await client.request(method, path.format(**NAMES))
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Basic dXNlcjpwYXNz", f"Token {ADMIN_KEY}", ADMIN_KEY])
async def test_another_kind_of_credentials_is_refused(api: Api, authorization: str) -> None:
    answer = await api.client(None).get("/v1/events", headers={"Authorization": authorization})
    assert answer.status_code == 401


PUBLISHING = ("/v1/events", "/v1/orders/1001/events", "/v1/users/u-42/events")


def basic(password: str, user: str = "x") -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        *({"X-API-Key": ADMIN_KEY}, {"x-api-key": f" {ADMIN_KEY} "}, basic(ADMIN_KEY), basic(ADMIN_KEY, "")),
        {"Authorization": basic(ADMIN_KEY)["Authorization"].replace("Basic", "basic")},
        # A gateway in between has credentials of its own.
        {**basic("of-the-gateway"), "X-API-Key": ADMIN_KEY},
        {"Authorization": f"Bearer {ADMIN_KEY}", "X-API-Key": "wrong"},
    ],
)
async def test_who_cannot_set_a_bearer_key_publishes_with_another_header(api: Api, headers: dict[str, str]) -> None:
    for path, kind, data in zip(PUBLISHING, ("stock.low", "order.paid", "user.deleted"), (1, {}, USER), strict=True):
        answer = await api.client(None).post(path, json={"type": kind, "data": data}, headers=headers)
        assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        *({"X-API-Key": ""}, {"X-API-Key": "wrong"}, basic("wrong"), basic(""), basic("", ADMIN_KEY)),
        *({"Authorization": "Basic"}, {"Authorization": "Basic ???"}, {"Authorization": "Basic gICA"}),
        {"Authorization": f"Basic {ADMIN_KEY}"},
        {"Authorization": "Bearer wrong", "X-API-Key": ADMIN_KEY},
    ],
)
async def test_a_wrong_key_in_another_header_is_refused_and_no_browser_is_asked_for_one(
    api: Api, headers: dict[str, str]
) -> None:
    answer = await api.client(None).post("/v1/events", json={"type": "stock.low", "data": 1}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_other_routes_take_a_bearer_key_only(api: Api) -> None:
    for headers in ({"X-API-Key": ADMIN_KEY}, basic(ADMIN_KEY)):
        for method, path, _ in ROUTES:
            if (
                path.format(**NAMES) not in {"/v1/events", "/v1/orders/1/events", "/v1/users/1/events"}
                or method != "POST"
            ):
                answer = await api.client(None).request(method, path.format(**NAMES), headers=headers)
                assert answer.status_code == 401, (method, path)
        assert (await api.client(None).get("/v1/stream", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 202), ("https://app.example.com", 202), ("https://evil.example.com", 403), ("null", 403), ("", 403)],
)
async def test_a_page_uses_basic_only_from_an_origin_that_the_operator_named(
    tmp_path: Path, origin: str | None, status: int
) -> None:
    event = {"type": "stock.low", "data": 1}
    page = {} if origin is None else {"Origin": origin}
    async with open_api(
        settings_for(tmp_path / "cors", cors_origins="https://a.example, https://app.example.com")
    ) as api:
        client = api.client(None)
        assert (await client.post("/v1/events", json=event, headers={**basic(ADMIN_KEY), **page})).status_code == status
        assert (
            await client.post("/v1/events", json=event, headers={"X-API-Key": ADMIN_KEY, **page})
        ).status_code == 202
        wrong = await client.post("/v1/events", json=event, headers={**basic("wrong"), **page})
        assert wrong.status_code == (401 if status == 202 else 403)


async def test_only_the_routes_that_publish_document_other_ways_to_send_a_key(api: Api) -> None:
    document = (await api.admin.get("/openapi.json")).json()
    assert document["components"]["securitySchemes"].keys() == {"key", "apiKey", "basic"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            publishes = operation["tags"] == ["publish"]
            assert ({"basic": []} in operation.get("security", [])) is publishes, (method, path)
            assert ({"apiKey": []} in operation.get("security", [])) is publishes, (method, path)


async def test_a_key_cannot_be_put_into_the_url(api: Api) -> None:
    assert (await api.client(None).get("/v1/events", params={"key": ADMIN_KEY})).status_code == 401


async def test_what_belongs_to_another_tenant_does_not_exist(api: Api) -> None:
    mine = await api.subscribe()
    event = await api.publish(deliver_at=(api.clock.now() + timedelta(hours=1)).isoformat())
    (delivery,) = await api.deliveries("pending")
    names = {"event": event, "subscription": mine["id"], "delivery": delivery["id"]}
    stranger = await api.holder(WRITE, READ, MANAGE, tenant="acme")
    for method, path, enough in ROUTES:
        if "{" in path and enough:
            answer = await stranger.request(method, path.format(**names), json=BODIES.get(method))
            assert answer.status_code == 404, (method, path)
    for path in ("/v1/events", "/v1/deliveries", "/v1/subscriptions"):
        assert (await stranger.get(path)).json()["items"] == []
    assert (await stranger.get("/v1/deliveries", params={"subscription_id": mine["id"]})).json()["items"] == []
    assert (await stranger.get("/v1/stats")).json()["accepted"] == 0
    (unchanged,) = await api.deliveries("pending")
    assert unchanged == delivery


async def test_an_event_goes_to_subscriptions_of_its_own_tenant_only(api: Api) -> None:
    stranger = await api.holder(WRITE, READ, MANAGE, tenant="acme")
    await api.subscribe(stranger)
    await api.subscribe()
    await api.publish()
    await api.deliveries("delivered")
    assert (await stranger.get("/v1/deliveries")).json()["items"] == []
