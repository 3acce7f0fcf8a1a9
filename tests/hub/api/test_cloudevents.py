"""CloudEvents 1.0 over HTTP, as the CloudEvents SDK writes them."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from tests.api_support import ORDER, Api, pointers

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
