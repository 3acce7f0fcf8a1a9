"""`POST /v1/events` and its typed sisters: what is accepted, and what becomes of it."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from hub.testing.receivers import Receiver
from tests.api_support import ORDER, Api, ndjson, open_api, pointers, settings_for

pytestmark = pytest.mark.usefixtures("unswept")

PROBLEM = "application/problem+json"


async def test_an_event_is_accepted_and_can_be_read_back_where_the_answer_says(api: Api) -> None:
    accepted = await api.admin.post("/v1/events", json={"type": "stock.low", "data": {"sku": "A-1"}})
    body = accepted.json()
    assert accepted.status_code == 202
    assert body == {"id": body["id"], "type": "stock.low", "status": "accepted", "duplicate": False}
    event = (await api.admin.get(accepted.headers["location"])).json()
    assert event["id"] == body["id"]
    assert event["data"] == {"sku": "A-1"}
    assert event["source"] == "urn:notification-hub"
    assert event["time"] == event["accepted_at"] == "2026-11-23T12:00:00Z"
    assert event["deliveries"] == {}


async def test_data_is_kept_and_shown_byte_for_byte(api: Api) -> None:
    data = b'{ "b": 1.50, "a": 1e2,\n "n": 123456789012345678901234567890, "u": "\\u00e9" }'
    accepted = await api.admin.post(
        "/v1/events", content=b'{"type":"stock.low","data":%b}' % data, headers={"content-type": "application/json"}
    )
    shown = await api.admin.get(accepted.headers["location"])
    assert b'"data":' + data + b"," in shown.content or b'"data":' + data + b"}" in shown.content


async def test_a_body_without_a_media_type_is_read_as_json(api: Api) -> None:
    accepted = await api.admin.post("/v1/events", content=b'{"type": "stock.low", "data": 1}')
    assert accepted.status_code == 202


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b'[{"type":"stock.low","data":1},{"type":"no type"}]'),
        ("application/x-ndjson", b'{"type":"stock.low","data":1}\n{"type":"no type"}'),
    ],
)
@pytest.mark.parametrize("path", ["/v1/events/batch", "/v1/events"])
async def test_a_batch_is_accepted_item_by_item_where_it_is_documented_and_beside_single_events(
    api: Api, path: str, media_type: str, body: bytes
) -> None:
    answer = await api.admin.post(path, content=body, headers={"content-type": media_type})
    assert answer.status_code == 202
    assert [item["status"] for item in answer.json()["items"]] == ["accepted", "rejected"]
    assert "location" not in answer.headers


async def test_a_single_event_is_refused_where_a_batch_is_due(api: Api) -> None:
    answer = await api.admin.post("/v1/events/batch", json={"type": "stock.low", "data": 1})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert "POST /v1/events" in answer.json()["detail"]
    assert (await api.admin.get("/v1/events")).json()["items"] == []


async def test_every_member_of_the_native_format_is_kept(api: Api) -> None:
    members = {
        "source": "/shop",
        "subject": "articles/A-1",
        "time": "2026-11-23T09:00:00+02:00",
        "deliver_at": "2026-11-24T00:00:00Z",
        "expires_at": "2026-11-25T00:00:00Z",
        "ordering_key": "A-1",
    }
    event_id = await api.publish(id="mine-1", attachments=[], **members)
    event = (await api.admin.get(f"/v1/events/{event_id}")).json()
    assert event["source_id"] == "mine-1"
    assert {name: event[name] for name in members} == {**members, "time": "2026-11-23T07:00:00Z"}


async def test_what_is_kept_without_an_effect_is_told_in_the_answer(api: Api) -> None:
    event = {"type": "stock.low", "data": 1}
    ordered = {**event, "ordering_key": "A-1"}
    cloud_event = {"specversion": "1.0", "id": "1", "source": "/shop", "partitionkey": "A-1", **event}
    alone = await api.admin.post("/v1/events", json=ordered, headers={"Idempotency-Key": "k"})
    again = await api.admin.post("/v1/events", json=ordered, headers={"Idempotency-Key": "k"})
    batch = await api.admin.post("/v1/events", json=[event, ordered, {**ordered, "type": "a b"}])
    cloud = await api.admin.post(
        "/v1/events", json=cloud_event, headers={"content-type": "application/cloudevents+json"}
    )
    (warning,) = alone.json()["warnings"]
    assert "not ordered" in warning
    assert again.content == alone.content
    assert [item.get("warnings") for item in batch.json()["items"]] == [None, [warning], None]
    assert cloud.json()["warnings"] == [warning]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"type": "stock.low", "data": NaN}', 400),
        (b'{"type": "stock.low", "data": "\xff"}', 400),
        (b'{"type": "stock.low", "data": "\\ud800"}', 400),
        (b"[" * 10_000, 400),
        (b'{"type": "stock.low", "data": ' + b"[" * 200 + b"]" * 200 + b"}", 400),
        (b'"text"', 422),
        (b'{"data": 1}', 422),
        (b'{"type": "stock.low"}', 422),
        (b'{"type": "two words", "data": 1}', 422),
        (b'{"type": "stock.low", "data": 1, "extra": 1}', 422),
        (b'{"type": "stock.low", "data": 1, "time": "yesterday"}', 422),
        (b'{"type": "stock.low", "data": 1, "expires_at": "2026-11-23T11:59:59Z"}', 422),
        (b'{"type": "stock.low", "data": 1, "attachments": ["fil_1"]}', 422),
        (b'{"specversion": "1.0", "type": "stock.low", "id": "1", "source": "/shop"}', 422),
    ],
)
async def test_what_is_no_event_is_refused_with_a_problem(api: Api, body: bytes, status: int) -> None:
    refused = await api.admin.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == PROBLEM
    assert refused.json()["status"] == status
    assert (await api.admin.get("/v1/events")).json()["items"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/xml"},
        {"content-type": "application/cloudevents+avro"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_other_media_types_and_content_encodings_are_refused(api: Api, headers: dict[str, str]) -> None:
    refused = await api.admin.post("/v1/events", content=b'{"type": "stock.low", "data": 1}', headers=headers)
    assert refused.status_code == 415


async def test_data_of_a_built_in_type_must_fit_its_schema(api: Api) -> None:
    wrong = {**ORDER, "total": 99.9, "customer": {"email": "nobody"}}
    refused = await api.admin.post("/v1/events", json={"type": "order.created", "data": wrong})
    assert refused.status_code == 422
    assert pointers(refused) == ["/data/total", "/data/customer/email"]
    accepted = await api.admin.post("/v1/events", json={"type": "order.created", "data": {**ORDER, "more": True}})
    assert accepted.status_code == 202


@pytest.mark.parametrize("customer", [None, {"name": "Kim"}, {"email": None}, {"email": ""}])
async def test_an_order_without_an_address_is_accepted_and_its_mail_ends_with_the_reason(
    tmp_path: Path, customer: object
) -> None:
    mail = {"smtp_url": "smtp://127.0.0.1:9", "email_from": "shop@example.com"}
    async with open_api(settings_for(tmp_path / "shop", channel_options=mail)) as api:
        await api.subscribe(channel="email", target={"to": ["{{ data.customer.email }}"]})
        await api.publish("order.created", {"order_id": "1001", "customer": customer})
        (dead,) = await api.deliveries("dead")
    assert dead["attempt_count"] == 1
    assert "no address to send to: this event has nothing for {{ data.customer.email }}" in dead["reason"]


async def test_strict_types_refuse_what_is_neither_built_in_nor_registered(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path / "strict", strict_types=True)) as api:
        event = {"type": "stock.low", "data": 1}
        refused = await api.admin.post("/v1/events", json=event)
        assert refused.status_code == 422
        assert pointers(refused) == ["/type"]
        await api.publish("order.created", ORDER)
        (await api.admin.put("/v1/event-types/stock.low", json={})).raise_for_status()
        assert (await api.admin.post("/v1/events", json=event)).status_code == 202


# -- batches -----------------------------------------------------------------------------------------------------------


BATCH = (
    {"type": "stock.low", "data": 1, "source": "/shop", "id": "1"},
    {"type": "stock.low"},
    {"type": "stock.low", "data": 2, "source": "/shop", "id": "1"},
    {"type": "order.created", "data": {}},
)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [("application/json", orjson.dumps(BATCH)), ("application/x-ndjson", ndjson(*BATCH) + b"\n\n")],
)
async def test_each_item_of_a_batch_has_a_verdict_of_its_own(api: Api, media_type: str, body: bytes) -> None:
    answer = await api.admin.post("/v1/events", content=body, headers={"content-type": media_type})
    assert answer.status_code == 202
    assert "location" not in answer.headers
    items = answer.json()["items"]
    assert [(item["index"], item["status"]) for item in items] == [
        (0, "accepted"),
        (1, "rejected"),
        (2, "duplicate"),
        (3, "rejected"),
    ]
    assert items[2]["id"] == items[0]["id"]
    assert items[1]["problem"]["status"] == 422
    assert items[1]["problem"]["errors"] == [{"detail": "is required", "pointer": "/data"}]
    assert "/data/order_id" in [fault["pointer"] for fault in items[3]["problem"]["errors"]]


async def test_a_line_that_is_no_json_spoils_only_itself(api: Api) -> None:
    body = b'{"type":"stock.low","data":1}\n{oops\n{"type":"stock.low","data":2}'
    answer = await api.admin.post("/v1/events", content=body, headers={"content-type": "application/x-ndjson"})
    assert [item["status"] for item in answer.json()["items"]] == ["accepted", "rejected", "accepted"]
    assert answer.json()["items"][1]["problem"]["status"] == 400


BAD = [
    b'{"type":"stock.low","data":"\\ud800"}',
    b'{"type":"stock.low","data":NaN}',
    b'{"type":"stock.low","data":"\xff"}',
]


@pytest.mark.parametrize("bad", [*BAD, b'{"type":"stock.low","data":' + b"[" * 200 + b"]" * 200 + b"}"])
@pytest.mark.parametrize("media_type", ["application/json", "application/cloudevents-batch+json"])
async def test_an_element_of_an_array_that_cannot_be_read_spoils_only_itself(
    api: Api, media_type: str, bad: bytes
) -> None:
    cloud_event = {"specversion": "1.0", "source": "/shop"} if "cloudevents" in media_type else {}
    good = [orjson.dumps({**cloud_event, "type": "stock.low", "data": "[,]", "id": name}) for name in "ab"]
    body = b"[" + b",".join([good[0], bad, good[1]]) + b"]"
    answer = await api.admin.post("/v1/events", content=body, headers={"content-type": media_type})
    assert [item["status"] for item in answer.json()["items"]] == ["accepted", "rejected", "accepted"]
    assert answer.json()["items"][1]["problem"]["status"] == 400


NATIVE = b'{"type":"stock.low","data":{"n": 1.0}}'
CLOUD = b'{"specversion":"1.0","id":"1","source":"/x",' + NATIVE[1:]


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        *(("application/json", NATIVE), ("application/json", b" [%b]" % NATIVE), ("application/x-ndjson", NATIVE)),
        *(("application/cloudevents+json", CLOUD), ("application/cloudevents-batch+json", b"[%b]" % CLOUD)),
    ],
)
async def test_a_byte_order_mark_before_a_body_changes_nothing(api: Api, media_type: str, body: bytes) -> None:
    answer = await api.admin.post("/v1/events", content=b"\xef\xbb\xbf" + body, headers={"content-type": media_type})
    assert answer.status_code == 202, answer.text
    (accepted,) = answer.json().get("items", [answer.json()])
    assert b'"data":{"n": 1.0}' in (await api.admin.get(f"/v1/events/{accepted['id']}")).content


async def test_a_path_is_part_of_what_an_idempotency_key_stands_for(api: Api) -> None:
    event = {"type": "user.deleted", "data": {"email": "ada@example.com"}}
    key = {"Idempotency-Key": "the same"}
    answers = [await api.admin.post(f"/v1/users/%23{n}/events", json=event, headers=key) for n in (1, 2)]
    assert [answer.status_code for answer in answers] == [202, 422]


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize(("count", "status"), [(0, 400), (1_000, 202), (1_001, 413)])
async def test_a_batch_holds_one_to_a_thousand_events(api: Api, media_type: str, count: int, status: int) -> None:
    events = [{"type": "stock.low", "data": number} for number in range(count)]
    body = orjson.dumps(events) if media_type == "application/json" else ndjson(*events)
    answer = await api.admin.post("/v1/events", content=body, headers={"content-type": media_type})
    assert answer.status_code == status


async def test_an_event_of_a_batch_may_not_be_larger_than_a_single_one(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path / "small", max_body_bytes=1_024)) as api:
        batch = [{"type": "stock.low", "data": "x" * 1_024}, {"type": "stock.low", "data": "x"}]
        answer = await api.admin.post("/v1/events", json=batch)
        assert [item["status"] for item in answer.json()["items"]] == ["rejected", "accepted"]


# -- duplicates --------------------------------------------------------------------------------------------------------


async def test_the_same_source_and_id_again_is_a_duplicate_that_delivers_nothing(api: Api) -> None:
    await api.subscribe()
    event = {"type": "stock.low", "data": 1, "source": "/shop", "id": "1"}
    first = (await api.admin.post("/v1/events", json=event)).json()
    again = await api.admin.post("/v1/events", json={**event, "data": 2})
    assert again.status_code == 202
    assert again.json() == {**first, "duplicate": True}
    assert again.headers["location"] == f"/v1/events/{first['id']}"
    assert len(await api.deliveries("delivered")) == 1
    assert len((await api.admin.get("/v1/deliveries")).json()["items"]) == 1


async def test_the_same_id_of_another_source_or_tenant_is_another_event(api: Api) -> None:
    other = await api.holder("events:write", tenant="acme")
    event = {"type": "stock.low", "data": 1, "source": "/shop", "id": "1"}
    answers = [
        await api.admin.post("/v1/events", json=event),
        await api.admin.post("/v1/events", json={**event, "source": "/stall"}),
        await other.post("/v1/events", json=event),
    ]
    assert [answer.json()["duplicate"] for answer in answers] == [False, False, False]


# -- when --------------------------------------------------------------------------------------------------------------


async def test_an_event_is_not_delivered_before_its_time(api: Api) -> None:
    await api.subscribe()
    deliver_at = api.clock.now() + timedelta(hours=1)
    await api.publish(deliver_at=deliver_at.isoformat())
    (waiting,) = await api.deliveries("pending")
    assert waiting["next_attempt_at"] == "2026-11-23T13:00:00Z"
    await api.clock.elapse(3_599)
    assert (await api.admin.get("/v1/deliveries?status=delivered")).json()["items"] == []
    await api.clock.elapse(1)
    assert len(await api.deliveries("delivered")) == 1


async def test_what_expires_before_it_can_be_sent_again_is_dead_with_that_reason(api: Api) -> None:
    async with Receiver([503]) as receiver:
        await api.subscribe(channel="webhook", target={"url": receiver.url}, retry_schedule=[600])
        await api.publish(expires_at=(api.clock.now() + timedelta(seconds=60)).isoformat())
        (dead,) = await api.deliveries("dead")
        assert dead["reason"].startswith("expired before the next attempt")
        assert len(receiver.requests) == 1


# -- typed routes ------------------------------------------------------------------------------------------------------


async def test_an_event_of_an_order_gets_its_subject_and_its_id_from_the_path(api: Api) -> None:
    data = {name: value for name, value in ORDER.items() if name != "order_id"}
    accepted = await api.admin.post("/v1/orders/1001/events", json={"type": "order.paid", "data": data})
    event = (await api.admin.get(accepted.headers["location"])).json()
    assert event["subject"] == "orders/1001"
    assert event["data"]["order_id"] == "1001"


async def test_an_event_of_a_user_gets_its_subject_and_its_id_from_the_path(api: Api) -> None:
    accepted = await api.admin.post(
        "/v1/users/u%2042/events", json={"type": "user.registered", "data": {"email": "ada@example.com"}}
    )
    event = (await api.admin.get(accepted.headers["location"])).json()
    assert event["subject"] == "users/u 42"
    assert event["data"] == {"user_id": "u 42", "email": "ada@example.com"}


@pytest.mark.parametrize(
    ("event", "wrong"),
    [
        ({"type": "user.registered", "data": ORDER}, ["/type"]),
        ({"type": "order.paid", "data": ORDER, "subject": "orders/7"}, ["/subject"]),
        ({"type": "order.paid", "data": {**ORDER, "order_id": "7"}}, ["/data/order_id"]),
        ({"type": "order.paid", "data": []}, ["/data"]),
    ],
)
async def test_an_event_that_contradicts_its_path_is_refused(api: Api, event: object, wrong: list[str]) -> None:
    refused = await api.admin.post("/v1/orders/1001/events", json=event)
    assert refused.status_code == 422
    assert pointers(refused) == wrong


async def test_batches_of_typed_routes_have_verdicts_too(api: Api) -> None:
    batch = [{"type": "order.paid", "data": ORDER}, {"type": "user.deleted", "data": {}}]
    answer = await api.admin.post("/v1/orders/1001/events", json=batch)
    assert [item["status"] for item in answer.json()["items"]] == ["accepted", "rejected"]


async def test_a_hub_that_is_far_behind_accepts_nothing_and_says_when_to_come_back(api: Api) -> None:
    source = (await api.admin.post("/v1/sources", json={"name": "s", "scheme": "github", "secret": "x" * 32})).json()
    lag = api.services.loop_lag
    lag.is_behind = True
    # In one turn of the loop: its next measure would end it.
    for path in ("/v1/events", "/v1/events/batch", "/v1/orders/1/events", f"/v1/sources/{source['id']}/events"):
        lag.is_behind = True
        answer = await api.admin.post(path, json={"type": "a.b", "data": 1})
        assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), path
    lag.is_behind = True
    assert (await api.admin.get("/v1/events")).json()["items"] == []
