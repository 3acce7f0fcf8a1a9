"""The native format of an event."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest, HubError, Invalid
from hub.instants import parse_instant
from hub.publishing.event import DEFAULT_SOURCE, MissingType, ParsedEvent, fill_from_path, parse_native


def pointers(error: HubError) -> list[str]:
    return [fault.pointer for fault in error.errors]


def read(**members: Any) -> ParsedEvent:
    return parse_native(orjson.dumps({"type": "order.created", "data": {}, **members}))


def test_the_least_event_is_a_type_and_data() -> None:
    event = parse_native(b'{"type":"x","data":null}')
    assert event == ParsedEvent(
        type="x", source=DEFAULT_SOURCE, source_id=None, subject=None, time=None, data=b"null", data_value=None
    )


@pytest.mark.parametrize("body", [b"{}", b'{"data": 1}', b'{"action": "opened", "number": 7}'])
def test_an_object_without_a_type_is_told_from_other_errors_and_says_what_to_do(body: bytes) -> None:
    with pytest.raises(MissingType, match="POST /v1/sources") as refused:
        parse_native(body)
    assert "/type" in pointers(refused.value)


def test_data_is_kept_byte_for_byte() -> None:
    event = parse_native(b'{"type":"x","data": {"total" : 1.50, "n":"\\u00e9"} }')
    assert event.data == b'{"total" : 1.50, "n":"\\u00e9"}'
    assert event.data_value == {"total": 1.5, "n": "é"}


@pytest.mark.parametrize(
    ("event_type", "data", "subject"),
    [
        ("order.created", {"order_id": "1001"}, "orders/1001"),
        ("order.packed.again", {"order_id": "gid://shopify/Order/45"}, "orders/gid://shopify/Order/45"),
        ("order.paid", {"order_id": 450789469}, "orders/450789469"),
        ("user.verified", {"user_id": "u-42", "order_id": "1001"}, "users/u-42"),
        ("order.created", {"user_id": "u-42"}, None),
        ("order.created", {"order_id": True}, None),
        ("order.created", {"order_id": ""}, None),
        ("order.created", {"order_id": "a\nb"}, None),
        ("order.created", {"order_id": "x" * 1_020}, None),
        ("order.created", [1001], None),
        ("order", {"order_id": "1001"}, None),
        ("orders.created", {"order_id": "1001"}, None),
    ],
)
def test_the_subject_of_an_order_or_user_event_is_its_order_or_user(
    event_type: str, data: Any, subject: str | None
) -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    assert read(type=event_type, data=data).accepted("evt_1", "acme", at).subject == subject
    assert read(type=event_type, data=data, subject="mine").accepted("evt_1", "acme", at).subject == "mine"


def test_every_member_is_read() -> None:
    event = read(
        id="a-1",
        source="/shop",
        subject="orders/1",
        time="2026-11-23T13:00:00.5+01:00",
        deliver_at="2026-11-24t00:00:00z",
        expires_at="2026-11-25T00:00:00Z",
        ordering_key="orders/1",
        attachments=[],
    )
    assert (event.source_id, event.source, event.subject, event.ordering_key) == (
        "a-1",
        "/shop",
        "orders/1",
        "orders/1",
    )
    assert event.time == datetime(2026, 11, 23, 12, 0, 0, 500_000, UTC)
    assert event.deliver_at == datetime(2026, 11, 24, tzinfo=UTC)
    assert event.expires_at == datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"type": ""}, "/type"),
        ({"type": "a b"}, "/type"),
        ({"type": "order.*"}, "/type"),
        ({"type": 1}, "/type"),
        ({"id": ""}, "/id"),
        ({"id": 7}, "/id"),
        ({"id": "a\nb"}, "/id"),
        ({"source": None}, "/source"),
        ({"subject": "x" * 1_025}, "/subject"),
        ({"time": "yesterday"}, "/time"),
        ({"time": 1_700_000_000}, "/time"),
        ({"time": "2026-11-23T12:00:00"}, "/time"),
        ({"time": "2026-11-23"}, "/time"),
        ({"time": "2026-02-30T12:00:00Z"}, "/time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "/time"),
        ({"deliver_at": "2026-11-24T00:00:00Z", "expires_at": "2026-11-24T00:00:00Z"}, "/expires_at"),
        ({"attachments": ["fil_1"]}, "/attachments"),
        ({"sbuject": "typo"}, "/sbuject"),
    ],
)
def test_what_breaks_a_rule_is_pointed_at(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(**members)
    assert pointers(caught.value) == [pointer]


def test_several_mistakes_are_told_at_once_and_nothing_that_was_sent() -> None:
    with pytest.raises(Invalid) as caught:
        parse_native(b'{"type":"s3cret value","time":"s3cret","subject":"s3cret\\u0000"}')
    assert pointers(caught.value) == ["/type", "/data", "/subject", "/time"]
    assert "s3cret" not in repr([caught.value.detail, caught.value.errors])


def test_a_cloud_event_sent_as_plain_json_is_told_its_media_type() -> None:
    with pytest.raises(Invalid, match=r"application/cloudevents\+json"):
        parse_native(b'{"specversion":"1.0","type":"x","id":"1","source":"/","data":1}')


def test_what_is_no_json_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        parse_native(b"{")


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 - made aware below
def test_any_instant_that_python_writes_is_read(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_instant(aware.isoformat()) == aware


def test_typed_routes_fill_in_the_subject_and_the_id() -> None:
    event = fill_from_path(
        parse_native(b'{"type":"order.paid","data": {"total":1.50}}'), subject="orders/7", member="order_id", value="7"
    )
    assert event.subject == "orders/7"
    assert event.data == b'{"order_id":"7","total":1.50}'
    assert event.data_value == {"order_id": "7", "total": 1.5}


def test_a_number_is_the_same_id_as_its_digits_in_the_path() -> None:
    event = fill_from_path(read(data={"order_id": 7}), subject="orders/7", member="order_id", value="7")
    assert event.data == b'{"order_id":7}'


@pytest.mark.parametrize("text", ["a\N{NO-BREAK SPACE}b", "👩‍💻", "\N{ZERO WIDTH JOINER}", "\U000e0041"])
def test_text_is_everything_but_control_characters_and_code_points_that_are_no_characters(text: str) -> None:
    assert read(subject=text).subject == text


@pytest.mark.parametrize("text", ["", "\n", "\x00", "\x7f", "\x85", "\ufdd0", "\uffff", "\U0001fffe", "x" * 1_025])
def test_what_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read(subject=text)


@pytest.mark.parametrize("data", [b"{}", b" { } ", b'{"order_id":"a\\"\\\\"}'])
def test_what_is_filled_in_is_json_whatever_was_there(data: bytes) -> None:
    event = parse_native(b'{"type":"order.paid","data":' + data + b"}")
    filled = fill_from_path(event, subject="orders/x", member="order_id", value='a"\\')
    assert orjson.loads(filled.data) == filled.data_value == {"order_id": 'a"\\'}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"subject": "orders/8"}, "/subject"),
        ({"data": {"order_id": "8"}}, "/data/order_id"),
        ({"data": {"order_id": 8}}, "/data/order_id"),
        ({"data": {"order_id": 7.0}}, "/data/order_id"),
        ({"data": {"order_id": True}}, "/data/order_id"),
        ({"data": {"order_id": None}}, "/data/order_id"),
        ({"data": []}, "/data"),
    ],
)
def test_an_event_that_contradicts_its_path_is_refused(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        fill_from_path(read(**members), subject="orders/7", member="order_id", value="7")
    assert pointers(caught.value) == [pointer]
