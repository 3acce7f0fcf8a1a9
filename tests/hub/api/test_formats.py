"""CloudEvents 1.0 over HTTP, as the CloudEvents SDK writes them; what vendors post in a form of their own; and
`Idempotency-Key`: one publication, one answer."""

import asyncio
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from tests.api_support import ADMIN_KEY, ORDER, Api, pointers

BATCH = "application/cloudevents-batch+json"
ATTRIBUTES = {
    "id": "A-1",
    "source": "/shop",
    "type": "com.example.order/v1",
    "subject": "Grüße €",
    "time": datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
    "dataschema": "https://example.com/schemas/order",
    "datacontenttype": "application/json",
    "priority": "high",
}


def event(data: Any = None, **changed: Any) -> CloudEvent:
    attributes = {name: value for name, value in {**ATTRIBUTES, **changed}.items() if value is not None}
    return CloudEvent(attributes=attributes, data=data)


async def publish(api: Api, message: HTTPMessage) -> dict[str, Any]:
    """Publish, and give the event as it is shown."""
    accepted = await api.admin.post("/v1/events", content=message.body, headers=message.headers)
    assert accepted.status_code == 202, accepted.text
    shown: dict[str, Any] = (await api.admin.get(accepted.headers["location"])).json()
    return shown


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
async def test_each_attribute_of_an_event_is_kept_in_either_mode(api: Api, write: Any) -> None:
    shown = await publish(api, write(event({"total": "9.90"})))
    assert shown["source_id"] == "A-1"
    assert shown["source"] == "/shop"
    assert shown["type"] == "com.example.order/v1"
    assert shown["subject"] == "Grüße €"
    assert shown["time"] == "2026-11-23T09:00:00Z"
    assert shown["extensions"] == {"dataschema": "https://example.com/schemas/order", "priority": "high"}
    assert shown["data"] == {"total": "9.90"}


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
async def test_text_is_kept_as_a_json_string(api: Api, write: Any) -> None:
    shown = await publish(api, write(event("Grüße", datacontenttype="text/plain")))
    assert (shown["data"], shown["data_base64"]) == ("Grüße", False)
    assert shown["content_type"] == "text/plain"


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
async def test_bytes_are_kept_as_base64(api: Api, write: Any) -> None:
    shown = await publish(api, write(event(b"\x00\xff", datacontenttype="application/octet-stream")))
    assert (shown["data"], shown["data_base64"]) == ("AP8=", True)


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
async def test_an_event_of_a_built_in_type_is_taken_as_the_sdk_sends_it_by_default(api: Api, write: Any) -> None:
    sent = CloudEvent(attributes={"source": "/shop", "type": "order.created"}, data=ORDER)
    message = write(sent)
    assert "content-type" not in message.headers or write is to_structured_event
    shown = await publish(api, message)
    assert (shown["data"], shown["data_base64"]) == (ORDER, False)


async def test_the_modes_are_one_event_to_the_hub(api: Api) -> None:
    structured, binary = to_structured_event(event({})), to_binary_event(event({}))
    first = await api.admin.post("/v1/events", content=structured.body, headers=structured.headers)
    second = await api.admin.post("/v1/events", content=binary.body, headers=binary.headers)
    batch = b"[" + structured.body + b"," + orjson.dumps({"specversion": "1.0", "id": "2"}) + b"]"
    third = await api.admin.post("/v1/events", content=batch, headers={"content-type": BATCH})
    assert second.json() == {**first.json(), "duplicate": True}
    duplicate, rejected = third.json()["items"]
    assert duplicate == {"index": 0, "status": "duplicate", "id": first.json()["id"]}
    assert [fault["pointer"] for fault in rejected["problem"]["errors"]] == ["/type", "/source"]


async def test_a_batch_of_many_events_is_accepted(api: Api) -> None:
    events = [orjson.loads(JSONFormat().write(event({"n": n}, id=f"A-{n}"))) for n in range(20)]
    answer = await api.admin.post("/v1/events", content=orjson.dumps(events), headers={"content-type": BATCH})
    assert [item["status"] for item in answer.json()["items"]] == ["accepted"] * 20


async def test_an_order_event_in_structured_mode_is_validated_too(api: Api) -> None:
    message = to_structured_event(event({**ORDER, "currency": "euro"}, type="order.created"))
    refused = await api.admin.post("/v1/events", content=message.body, headers=message.headers)
    assert refused.status_code == 422
    assert pointers(refused) == ["/data/currency"]


async def test_an_event_of_an_older_version_is_refused(api: Api) -> None:
    body = {"specversion": "0.3", "id": "1", "source": "/shop", "type": "stock.low"}
    refused = await api.admin.post("/v1/events", json=body, headers={"content-type": "application/cloudevents+json"})
    assert refused.status_code == 422
    assert pointers(refused) == ["/specversion"]


async def test_the_trace_context_of_a_request_is_carried_with_its_event(api: Api) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    message = to_binary_event(event({}))
    accepted = await api.admin.post(
        "/v1/events", content=message.body, headers={**message.headers, "traceparent": parent}
    )
    stored = await api.store.archive.event("default", accepted.json()["id"])
    assert stored is not None
    assert stored.traceparent == parent


PULL_REQUEST = b'{"action": "opened",  "number": 7, "pull_request": {"title": "x", "size": 1.50}}'
GITHUB = {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": "72d3162e"}
SHOPIFY = {"X-Shopify-Topic": "orders/create", "X-Shopify-Event-Id": "e-1"}
API_KEY = {"X-API-Key": ADMIN_KEY}
PASSWORD = {"Authorization": "Basic " + b64encode(f"any:{ADMIN_KEY}".encode()).decode()}


async def send(
    api: Api, headers: dict[str, str], body: bytes = PULL_REQUEST, path: str = "/v1/events"
) -> httpx.Response:
    key = {} if "Authorization" in headers else API_KEY
    sent = {"Content-Type": "application/json", **key, **headers}
    return await api.client(None).post(path, content=body, headers=sent)


@pytest.mark.parametrize("key", [API_KEY, PASSWORD])
@pytest.mark.parametrize(
    ("headers", "type_", "id_"),
    [(GITHUB, "github.pull_request", "72d3162e"), (SHOPIFY, "shopify.orders.create", "orders/create/e-1")],
)
async def test_what_a_sender_of_events_of_its_own_form_posts_with_a_key_is_an_event_once(
    api: Api, key: dict[str, str], headers: dict[str, str], type_: str, id_: str
) -> None:
    accepted = await send(api, {**headers, **key})
    assert accepted.status_code == 202, accepted.text
    shown = await api.admin.get(accepted.headers["location"])
    event = shown.json()
    assert accepted.json() == {"id": event["id"], "type": type_, "status": "accepted", "duplicate": False}
    assert (event["source"], event["source_id"]) == (f"urn:notification-hub:{type_.partition('.')[0]}", id_)
    assert PULL_REQUEST in shown.content
    assert (await send(api, {**headers, **key})).json() == {**accepted.json(), "duplicate": True}


async def test_the_ping_of_github_is_answered_and_is_no_event(api: Api) -> None:
    ping = {**GITHUB, "X-GitHub-Event": "ping"}
    assert (await send(api, ping)).status_code == 204
    assert (await send(api, ping, path="/v1/events/batch")).status_code == 422
    assert (await send(api, {**ping, "X-API-Key": "wrong"})).status_code == 401
    assert await published(api) == 0


@pytest.mark.parametrize(
    ("headers", "pointer"),
    [
        ({}, "/type"),
        ({"X-Event": "push"}, "/type"),
        ({"X-Hub-Signature-256": "sha256=00"}, "/type"),
        ({"X-GitHub-Event": ""}, "/header/X-GitHub-Event"),
    ],
)
async def test_a_body_without_a_type_and_without_a_name_in_a_header_is_refused(
    api: Api, headers: dict[str, str], pointer: str
) -> None:
    refused = await send(api, headers)
    assert refused.status_code == 422
    assert pointers(refused)[0] == pointer
    assert await published(api) == 0


async def test_the_headers_of_a_vendor_change_nothing_of_an_event_in_the_form_of_the_hub(api: Api) -> None:
    accepted = await send(api, GITHUB, orjson.dumps(EVENT))
    assert accepted.json()["type"] == "stock.low"
    batch = await send(api, GITHUB, b"[%b]" % PULL_REQUEST)
    assert [item["status"] for item in batch.json()["items"]] == ["rejected"]
    lines = await send(api, {**GITHUB, "Content-Type": "application/x-ndjson"})
    assert [item["status"] for item in lines.json()["items"]] == ["rejected"]
    assert (await send(api, {**GITHUB, "Content-Type": "application/cloudevents+json"})).status_code == 422


async def test_a_form_of_a_vendor_does_not_fit_under_the_path_of_an_order(api: Api) -> None:
    refused = await send(api, SHOPIFY, path="/v1/orders/1001/events")
    assert (refused.status_code, pointers(refused)) == (422, ["/type"])


async def test_the_name_in_the_header_is_part_of_what_an_idempotency_key_stands_for(api: Api) -> None:
    first = await send(api, {**GITHUB, "Idempotency-Key": "k-1"})
    again = await send(api, {**GITHUB, "Idempotency-Key": "k-1"})
    assert again.content == first.content
    assert (await send(api, {**GITHUB, "Idempotency-Key": "k-1", "X-GitHub-Event": "push"})).status_code == 422


EVENT = {"type": "stock.low", "data": {"sku": "A-1"}}


async def post(client: httpx.AsyncClient, key: str, body: object = EVENT) -> httpx.Response:
    return await client.post("/v1/events", json=body, headers={"Idempotency-Key": key})


async def published(api: Api) -> int:
    return len((await api.admin.get("/v1/events")).json()["items"])


async def test_the_same_request_again_gets_the_same_answer_byte_for_byte(api: Api) -> None:
    first = await post(api.admin, "k-1")
    again = await post(api.admin, "k-1")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert await published(api) == 1


async def test_a_quoted_key_and_the_bare_one_are_the_same(api: Api) -> None:
    first = await post(api.admin, "k-1")
    assert (await post(api.admin, '"k-1"')).content == first.content


async def test_a_batch_gets_the_same_verdicts_again_the_rejected_ones_too(api: Api) -> None:
    batch = [EVENT, {"type": "stock.low"}, EVENT]
    first = await post(api.admin, "k-1", batch)
    again = await post(api.admin, "k-1", batch)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    assert await published(api) == 2


async def test_a_key_with_another_body_is_refused(api: Api) -> None:
    await post(api.admin, "k-1")
    assert (await post(api.admin, "k-1", {**EVENT, "data": 2})).status_code == 422
    assert await published(api) == 1


async def test_a_key_with_the_same_body_on_another_path_is_refused(api: Api) -> None:
    event = {"type": "user.deleted", "data": {"user_id": "1", "email": "ada@example.com"}}
    await post(api.admin, "k-1", event)
    refused = await api.admin.post("/v1/users/1/events", json=event, headers={"Idempotency-Key": "k-1"})
    assert refused.status_code == 422
    assert await published(api) == 1


async def test_fifty_requests_at_once_publish_once_and_get_equal_answers(api: Api) -> None:
    answers = await asyncio.gather(*(post(api.admin, "k-1") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 49
    assert await published(api) == 1


async def test_while_the_first_is_in_flight_the_second_is_told_to_come_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.publishing.publisher.PATIENCE_SECONDS", 0.01)
    api.services.publisher._under_way["default", "k-1"] = asyncio.Event()
    refused = await post(api.admin, "k-1")
    assert refused.status_code == 409
    assert refused.headers["retry-after"] == "1"
    assert await published(api) == 0


async def test_a_key_belongs_to_its_tenant(api: Api) -> None:
    other = await api.holder("events:write", tenant="acme")
    first = await post(api.admin, "k-1")
    second = await post(other, "k-1")
    assert second.json()["id"] != first.json()["id"]


async def test_a_key_is_free_again_after_24_hours(api: Api) -> None:
    first = await post(api.admin, "k-1")
    api.clock.advance(24 * 3_600 - 1)
    assert (await post(api.admin, "k-1")).content == first.content
    api.clock.advance(2)
    assert (await post(api.admin, "k-1", {**EVENT, "data": 2})).json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", '""', "k" * 256, '"' + "k" * 256 + '"'])
async def test_a_key_has_1_to_255_characters(api: Api, key: str) -> None:
    assert (await post(api.admin, key)).status_code == 400


async def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    assert (await post(api.admin, "k-1", {"type": "stock.low"})).status_code == 422
    assert (await post(api.admin, "k-1")).status_code == 202
