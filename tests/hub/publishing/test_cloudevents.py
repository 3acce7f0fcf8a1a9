"""CloudEvents 1.0 over HTTP, against the rules and against the official SDK."""

import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from hub.errors import BadRequest, Invalid, UnsupportedMedia
from hub.publishing.cloudevents import mode, parse_binary, parse_structured

LEAST = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "com.example.order/v1"}
HEADERS = {f"ce-{name}": value for name, value in LEAST.items()}


def read(**members: Any) -> Any:
    return parse_structured(orjson.dumps({**LEAST, **members}))


@pytest.mark.parametrize(
    ("content_type", "headers", "found"),
    [
        ("application/cloudevents+json", {}, "structured"),
        ("Application/CloudEvents+JSON; charset=utf-8", {}, "structured"),
        ("application/cloudevents-batch+json", {}, "batch"),
        ("application/cloudevents-batch+json; charset=utf-8", {"ce-specversion": "1.0"}, "batch"),
        ("application/json", {"ce-specversion": "1.0"}, "binary"),
        (None, {"ce-specversion": "1.0"}, "binary"),
        ("application/json", {"ce-id": "1"}, None),
        (None, {}, None),
    ],
)
def test_the_mode_is_told_by_the_media_type_first(
    content_type: str | None, headers: dict[str, str], found: str | None
) -> None:
    assert mode(content_type, headers) == found


@pytest.mark.parametrize("content_type", ["application/cloudevents+avro", "application/cloudevents-batch+xml"])
def test_event_formats_other_than_json_are_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        mode(content_type, {})


def test_a_structured_event_keeps_its_data_byte_for_byte() -> None:
    event = parse_structured(
        b'{"specversion":"1.0","id":"1","source":"/shop","type":"order.created","subject":"orders/1",'
        b'"time":"2026-11-23T13:00:00+01:00","datacontenttype":"application/vnd.shop+json",'
        b'"dataschema":"https://example.com/s","comexampleretry":3,"flag":true,"empty":null,"data":{"n" : 1.50}}'
    )
    assert event.data == b'{"n" : 1.50}'
    assert event.data_value == {"n": 1.5}
    assert event.time == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert (event.source, event.source_id, event.type, event.subject) == ("/shop", "1", "order.created", "orders/1")
    assert event.content_type == "application/vnd.shop+json"
    assert event.extensions == {"dataschema": "https://example.com/s", "comexampleretry": 3, "flag": True}


def test_data_may_be_absent() -> None:
    assert read().data == b"null"
    assert parse_binary(HEADERS, b"").data == b"null"


def test_documented_extensions_are_read_and_kept() -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    event = read(partitionkey="orders/1", expirytime="2026-12-01T00:00:00Z", traceparent=trace)
    assert event.ordering_key == "orders/1"
    assert event.expires_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert event.traceparent == trace
    assert event.extensions.keys() == {"partitionkey", "expirytime", "traceparent"}
    assert read(traceparent="nonsense").traceparent is None


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"specversion": None}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": 1}, "/id"),
        ({"source": ""}, "/source"),
        ({"type": None}, "/type"),
        ({"type": "a b"}, "/type"),
        ({"subject": ""}, "/subject"),
        ({"time": "now"}, "/time"),
        ({"datacontenttype": 5}, "/datacontenttype"),
        ({"Upper": "x"}, "/Upper"),
        ({"with_underscore": "x"}, "/with_underscore"),
        ({"x" * 256: "x"}, "/" + "x" * 64),
        ({"datacontenttype": "text/plain; name=é"}, "/datacontenttype"),
        ({"ext": {"a": 1}}, "/ext"),
        ({"ext": 2**31}, "/ext"),
        ({"ext": 1.5}, "/ext"),
        ({"ext": "a\x00"}, "/ext"),
        ({"expirytime": "soon"}, "/expirytime"),
        ({"data": 1, "data_base64": "AA=="}, "/data_base64"),
        ({"data_base64": "not base64!"}, "/data_base64"),
        ({"data_base64": 5}, "/data_base64"),
    ],
)
def test_what_breaks_a_rule_is_pointed_at(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(**members)
    assert [fault.pointer for fault in caught.value.errors] == [pointer]


def test_extensions_are_limited_in_number() -> None:
    assert read(**{"x" * 255: "x"}).extensions == {"x" * 255: "x"}
    read(**{f"ext{number}": "x" for number in range(32)})
    with pytest.raises(Invalid):
        read(**{f"ext{number}": "x" for number in range(33)})


def test_base64_data_of_a_known_type_is_decoded() -> None:
    encoded = base64.b64encode(b'{"a" : 1}').decode()
    as_json = read(data_base64=encoded, datacontenttype="application/json")
    assert (as_json.data, as_json.data_value, as_json.data_base64) == (b'{"a" : 1}', {"a": 1}, False)
    as_text = read(data_base64=base64.b64encode("é".encode()).decode(), datacontenttype="text/plain")
    assert (as_text.data_value, as_text.data_base64) == ("é", False)
    as_nothing = read(data_base64=encoded)
    assert (as_nothing.data, as_nothing.content_type) == (b'{"a" : 1}', None)
    as_bytes = read(data_base64=encoded, datacontenttype="application/cbor")
    assert (as_bytes.data_value, as_bytes.data_base64) == (encoded, True)


@pytest.mark.parametrize(
    ("content_type", "body", "data", "value", "in_base64"),
    [
        ("application/json", b'{"a" : 1}', b'{"a" : 1}', {"a": 1}, False),
        ("application/vnd.shop+json; charset=utf-8", b"[1]", b"[1]", [1], False),
        ("text/plain", "é".encode(), '"é"'.encode(), "é", False),
        ("text/plain; charset=latin-1", b"\xe9", '"é"'.encode(), "é", False),
        ("text/plain; charset=nonsense", b"\xe9", b'"6Q=="', "6Q==", True),
        ("text/plain", b"\xff", b'"/w=="', "/w==", True),
        ("application/octet-stream", b"\x00\xff", b'"AP8="', "AP8=", True),
        ("application/xml", b"<a/>", b'"<a/>"', "<a/>", False),
        ("application/json", b'\xef\xbb\xbf{"a" : 1}', b'{"a" : 1}', {"a": 1}, False),
        ("application/cbor", b"\xef\xbb\xbf1", b'"77u/MQ=="', "77u/MQ==", True),
        (None, b'{"a" : 1}', b'{"a" : 1}', {"a": 1}, False),
        (None, b"1.50", b"1.50", 1.5, False),
        (None, b"hello", b'"aGVsbG8="', "aGVsbG8=", True),
        (None, b"\x00\xff", b'"AP8="', "AP8=", True),
        ("", b"{}", b"{}", {}, False),
    ],
)
def test_the_body_of_a_binary_event_is_read_by_its_media_type(
    content_type: str | None, body: bytes, data: bytes, value: Any, in_base64: bool
) -> None:
    headers = HEADERS if content_type is None else {**HEADERS, "content-type": content_type}
    event = parse_binary(headers, body)
    assert (event.data, event.data_value, event.data_base64) == (data, value, in_base64)
    assert event.content_type == (content_type or None)


def test_a_binary_event_of_a_json_type_must_be_json() -> None:
    with pytest.raises(BadRequest):
        parse_binary({**HEADERS, "content-type": "application/json"}, b"{")


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ('"quoted \\"and\\" escaped"', 'quoted "and" escaped'),
        ("%2541", "%41"),
        ("100%", "100%"),
    ],
)
def test_header_values_are_unquoted_and_percent_decoded_once(sent: str, read_as: str) -> None:
    assert parse_binary({**HEADERS, "ce-subject": sent}, b"").subject == read_as


@pytest.mark.parametrize("sent", ["%C0%A0", "%FF", "caf\xe9", "%00", "%0D%0Aset-cookie"])
def test_header_values_that_are_not_utf8_or_hold_controls_are_refused(sent: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_binary({**HEADERS, "ce-subject": sent}, b"")
    assert [fault.pointer for fault in caught.value.errors] == ["/ce-subject"]


@pytest.mark.parametrize("name", ["ce-data", "ce-data_base64", "ce-datacontenttype"])
def test_data_and_its_type_are_no_headers(name: str) -> None:
    with pytest.raises(Invalid):
        parse_binary({**HEADERS, name: "x"}, b"")


ATTRIBUTES = {
    **LEAST,
    "subject": 'Bücher & "Kram" 100%',
    "time": datetime(2026, 11, 23, 12, tzinfo=UTC),
    "datacontenttype": "application/json",
    "shopregion": "eu",
}


def test_what_the_official_sdk_sends_structured_is_read() -> None:
    message = to_structured(CloudEvent(ATTRIBUTES, {"total": "1.50"}), JSONFormat())
    assert mode(message.headers["content-type"], message.headers) == "structured"
    event = parse_structured(message.body)
    assert (event.subject, event.time, event.data_value) == (
        ATTRIBUTES["subject"],
        ATTRIBUTES["time"],
        {"total": "1.50"},
    )
    assert event.extensions == {"shopregion": "eu"}


def test_what_the_official_sdk_sends_in_binary_mode_is_read() -> None:
    message = to_binary(CloudEvent(ATTRIBUTES, {"total": "1.50"}), JSONFormat())
    headers = {name.lower(): value for name, value in message.headers.items()}
    assert mode(headers.get("content-type"), headers) == "binary"
    event = parse_binary(headers, message.body)
    assert (event.subject, event.time, event.data_value) == (
        ATTRIBUTES["subject"],
        ATTRIBUTES["time"],
        {"total": "1.50"},
    )
    assert event.extensions == {"shopregion": "eu"}
