"""Errors are RFC 9457 problems, and never repeat what was sent."""

import pytest

from tests.api_support import ORDER, Api

CANARY = "canary-7f3a9c"
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("PUT", "/v1/events", 405), ("DELETE", "/v1/stats", 405), ("GET", "/v2", 404)],
)
async def test_what_the_framework_refuses_is_a_problem_too(api: Api, method: str, path: str, status: int) -> None:
    answer = await api.admin.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() == {"type", "title", "status", "detail", "request_id"}
    assert ("allow" in answer.headers) == (status == 405)
    code, title = {404: ("not_found", "Not found"), 405: ("method_not_allowed", "Method not allowed")}[status]
    assert (answer.json()["type"].rpartition(":")[2], answer.json()["title"]) == (code, title)
    assert answer.json()["detail"].startswith("There is no route")


@pytest.mark.parametrize(
    ("path", "body", "pointer", "known"),
    [
        ("events", {"type": "stock.low", "data": 1, "tpye": 1}, "/tpye", "type, data, id"),
        ("subscriptions", {"name": "x", "event_types": ["*"], "chanel": "file"}, "/chanel", "channel, target"),
        (
            "subscriptions",
            {"name": "x", "event_types": ["*"], "channel": "slack", "target": {"url": "https://h"}},
            "/target/url",
            "webhook_url, bot_token, channel",
        ),
        ("keys", {"name": "x", "scopes": ["read"], "tennant": "t"}, "/tennant", "scopes"),
    ],
)
async def test_an_unknown_member_is_answered_with_those_that_are_known(
    api: Api, path: str, body: dict[str, object], pointer: str, known: str
) -> None:
    answer = await api.admin.post(f"/v1/{path}", json=body)
    details = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
    assert details[pointer].startswith("is not a known member; known are ")
    assert known in details[pointer]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/events", {"type": CANARY, "data": 1, CANARY[:4]: CANARY}),
        ("POST", "/v1/events", {"type": f"{CANARY} x", "data": 1}),
        ("POST", "/v1/events", {"type": "stock.low", "data": 1, "time": CANARY}),
        ("POST", "/v1/events", {"type": "order.created", "data": {**ORDER, "total": CANARY, "currency": CANARY}}),
        ("POST", "/v1/events", {"type": "order.created", "data": {**ORDER, "customer": {"email": CANARY}}}),
        ("POST", "/v1/events", {"type": "registered", "data": {"sku": CANARY}}),
        ("POST", "/v1/events", [{"type": f"{CANARY} x", "data": 1}]),
        ("POST", f"/v1/orders/{CANARY}/events", {"type": "order.paid", "data": {**ORDER, "order_id": "7"}}),
        ("POST", "/v1/orders/7/events", {"type": "order.paid", "data": {**ORDER, "order_id": CANARY}}),
        ("GET", f"/v1/events?since={CANARY}", None),
        ("GET", f"/v1/events?type={CANARY}*x", None),
        ("GET", f"/v1/events?cursor={CANARY}", None),
        ("GET", f"/v1/events/{CANARY}", None),
        ("GET", f"/v1/deliveries?status={CANARY}", None),
        ("GET", f"/{CANARY}", None),
        ("POST", "/v1/subscriptions", {"name": 1, "event_types": CANARY, "channel": CANARY, "target": CANARY}),
        ("POST", "/v1/subscriptions", {"name": "x", "event_types": [f"{CANARY}*x"], "channel": "file", "target": {}}),
        ("POST", "/v1/subscriptions", {"name": "x", "event_types": ["*"], "channel": CANARY, "target": {}}),
        (
            "POST",
            "/v1/subscriptions",
            {"name": "x", "event_types": ["*"], "channel": "webhook", "target": {"url": CANARY, "secret": CANARY}},
        ),
        (
            "POST",
            "/v1/subscriptions",
            {
                "name": "x",
                "event_types": ["*"],
                "channel": "slack",
                "target": {"webhook_url": f"http://{CANARY}", "bot_token": CANARY, "channel": CANARY},
            },
        ),
        (
            "POST",
            "/v1/subscriptions",
            {
                "name": "x",
                "event_types": ["*"],
                "channel": "file",
                "target": {"name": "all"},
                "filter": {"data.total": {"gte": [CANARY]}},
            },
        ),
        ("PUT", "/v1/event-types/stock.low", {"schema": {"type": CANARY}}),
        ("PUT", "/v1/event-types/stock.low", {"schema": {"type": "number"}, "example": CANARY}),
        ("POST", "/v1/keys", {"name": "x", "scopes": [CANARY], "tenant": CANARY}),
        ("POST", "/v1/keys", {"name": "x", "scopes": ["read"], "tenant": CANARY}),
        ("POST", "/v1/tenants", {"id": f"{CANARY}!", "name": ""}),
        ("GET", f"/v1/keys/{CANARY}", None),
    ],
)
async def test_no_problem_repeats_what_was_sent(api: Api, method: str, path: str, body: object) -> None:
    (
        await api.admin.put("/v1/event-types/registered", json={"schema": {"properties": {"sku": {"type": "integer"}}}})
    ).raise_for_status()
    answer = await api.admin.request(method, path, json=body)
    assert answer.status_code >= 400 or isinstance(body, list)
    assert CANARY not in answer.text
    assert CANARY not in str(answer.headers)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/events", {**JSON, "Idempotency-Key": CANARY * 50}),
        ("/v1/events", {"content-type": f"text/{CANARY}"}),
        ("/v1/events", {"content-type": "application/json", "ce-specversion": CANARY}),
        ("/v1/events", {"Authorization": f"Bearer {CANARY}"}),
        ("/v1/keys", {"content-type": f"text/{CANARY}"}),
        ("/v1/keys", JSON),
    ],
)
async def test_no_problem_repeats_a_header_or_a_broken_body(api: Api, path: str, headers: dict[str, str]) -> None:
    answer = await api.admin.post(path, content=f'{{"type": "{CANARY}'.encode(), headers=headers)
    assert 400 <= answer.status_code < 500
    assert CANARY not in answer.text
