import base64
from datetime import timedelta
from email.utils import format_datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook

from channels.base import ChannelContext, SendFailed
from channels.webhook import WebhookChannel, WebhookTarget
from hub.testing.clock import START
from hub.testing.messages import MESSAGE, message
from hub.testing.receivers import Receiver, Reply
from tests.channels.conftest import MakeContext


@pytest.fixture
def channel(make_context: MakeContext) -> WebhookChannel:
    return WebhookChannel(make_context())


def verify(secret: SecretStr, arrival: object, monkeypatch: pytest.MonkeyPatch) -> object:
    """What the official library makes of a request, at the instant at which it was sent."""
    webhook = Webhook(secret.get_secret_value())
    monkeypatch.setattr(webhook, "_Webhook__verify_timestamp", lambda header: START)
    return webhook.verify(arrival.body, dict(arrival.headers))  # type: ignore[attr-defined] # untyped library


async def test_the_official_library_verifies_what_is_sent(
    channel: WebhookChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as receiver:
        target = WebhookTarget(url=receiver.url + "/hooks?a=1")
        receipt = await channel.send(MESSAGE, target)
    (arrival,) = receiver.requests
    assert receipt.status_code == 200
    assert arrival.path == "/hooks?a=1"
    assert arrival.headers["webhook-id"] == MESSAGE.event_id
    assert arrival.headers["webhook-timestamp"] == str(int(START.timestamp()))
    assert verify(target.secret, arrival, monkeypatch) == {
        "type": "order.created",
        "timestamp": "2026-11-23T12:00:00Z",
        "data": {"order_id": "1001", "total": "12.50", "customer": {"name": "Jürgen <b>", "email": "jo@example.com"}},
    }


async def test_a_tampered_body_is_not_verified(channel: WebhookChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as receiver:
        target = WebhookTarget(url=receiver.url)
        await channel.send(MESSAGE, target)
    arrival = receiver.requests[0]._replace(body=receiver.requests[0].body + b" ")
    with pytest.raises(Exception, match="No matching signature"):
        verify(target.secret, arrival, monkeypatch)


async def test_data_goes_on_byte_for_byte(channel: WebhookChannel) -> None:
    async with Receiver() as receiver:
        await channel.send(MESSAGE, WebhookTarget(url=receiver.url))
    assert receiver.requests[0].body.endswith(b',"data":' + MESSAGE.data + b"}")


async def test_during_rotation_both_secrets_sign_and_an_expired_one_does_not(
    channel: WebhookChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as receiver:
        oldest = WebhookTarget(url=receiver.url)
        older = oldest.rotated(START)
        target = older.rotated(START + timedelta(seconds=1))
        await channel.send(MESSAGE, target)
    old, middle, new = oldest.secret, older.secret, target.secret
    (arrival,) = receiver.requests
    assert len(arrival.headers["webhook-signature"].split(" ")) == 2
    for secret in (new, middle):
        verify(secret, arrival, monkeypatch)
    with pytest.raises(Exception, match="No matching signature"):
        verify(old, arrival, monkeypatch)


@pytest.mark.parametrize("traceparent", [None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"])
async def test_the_cloudevents_library_reads_the_structured_form(
    channel: WebhookChannel, traceparent: str | None
) -> None:
    sent = message(extensions={"dataschema": "https://example.com/s", "region": "eu"}, traceparent=traceparent)
    async with Receiver() as receiver:
        await channel.send(sent, WebhookTarget(url=receiver.url, format="cloudevents"))
    (arrival,) = receiver.requests
    event = from_structured_event(HTTPMessage(headers=dict(arrival.headers), body=arrival.body), JSONFormat())
    assert arrival.headers["content-type"] == "application/cloudevents+json"
    assert (event.get_id(), event.get_source(), event.get_type()) == ("4711", "/shop", "order.created")
    assert event.get_subject() == "orders/1001"
    assert event.get_time() == START
    assert event.get_dataschema() == "https://example.com/s"
    assert event.get_extension("region") == "eu"
    assert event.get_extension("traceparent") == traceparent
    assert event.get_data() == {
        "order_id": "1001",
        "total": "12.50",
        "customer": {"name": "Jürgen <b>", "email": "jo@example.com"},
    }
    assert arrival.headers.get("traceparent") == traceparent


async def test_data_that_is_not_json_travels_as_base64_in_a_cloudevent_and_as_bytes_in_raw_form(
    channel: WebhookChannel,
) -> None:
    encoded = b'"' + base64.b64encode(b"\x00\xff") + b'"'
    sent = message(data=encoded, data_base64=True, content_type="image/png", source_id=None)
    async with Receiver() as receiver:
        await channel.send(sent, WebhookTarget(url=receiver.url, format="cloudevents"))
        await channel.send(sent, WebhookTarget(url=receiver.url, format="raw"))
    structured, raw = receiver.requests
    assert structured.json()["data_base64"] == "AP8="
    assert structured.json()["datacontenttype"] == "image/png"
    assert structured.json()["id"] == MESSAGE.event_id
    assert (raw.headers["content-type"], raw.body) == ("image/png", b"\x00\xff")


@pytest.mark.parametrize(
    ("content_type", "data", "sent_as", "body"),
    [
        ("text/plain; charset=utf-8", '"grüße \\"quoted\\"\\nline 2"', None, 'grüße "quoted"\nline 2'.encode()),
        ("text/plain;charset=latin-1", '"grüße"', None, "grüße".encode("latin-1")),
        ("text/plain; charset=latin-1", '"€"', "text/plain; charset=utf-8", "€".encode()),
        ("application/xml", '"<a/>"', None, b"<a/>"),
        ("application/x-yaml", '"a: 1"', None, b"a: 1"),
        ("text/plain", "null", None, b""),
        ("text/plain", '{"a": 1.50}', None, b'{"a": 1.50}'),
        ("application/vnd.shop+json", '"text"', None, b'"text"'),
        (None, '"text"', "application/json", b'"text"'),
    ],
)
async def test_raw_form_is_the_payload_under_its_own_media_type(
    channel: WebhookChannel, content_type: str | None, data: str, sent_as: str | None, body: bytes
) -> None:
    async with Receiver() as receiver:
        target = WebhookTarget(url=receiver.url, format="raw")
        await channel.send(message(data=data.encode(), content_type=content_type), target)
    (arrival,) = receiver.requests
    assert (arrival.headers["content-type"], arrival.body) == (sent_as or content_type, body)


async def test_bytes_without_a_media_type_are_called_bytes(channel: WebhookChannel) -> None:
    sent = message(data=b'"AP8="', data_base64=True, content_type=None)
    async with Receiver() as receiver:
        await channel.send(sent, WebhookTarget(url=receiver.url, format="cloudevents"))
        await channel.send(sent, WebhookTarget(url=receiver.url, format="raw"))
    structured, raw = receiver.requests
    assert structured.json()["datacontenttype"] == "application/octet-stream"
    assert (raw.headers["content-type"], raw.body) == ("application/octet-stream", b"\x00\xff")


async def test_raw_form_is_the_data_alone(channel: WebhookChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as receiver:
        target = WebhookTarget(url=receiver.url, format="raw")
        await channel.send(MESSAGE, target)
    (arrival,) = receiver.requests
    assert (arrival.headers["content-type"], arrival.body) == ("application/json", MESSAGE.data)
    verify(target.secret, arrival, monkeypatch)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_another_method_is_signed_and_named_as_a_post_is(
    channel: WebhookChannel, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as receiver:
        target = WebhookTarget.model_validate({"url": receiver.url, "method": method})
        await channel.send(MESSAGE, target)
    (arrival,) = receiver.requests
    assert (arrival.method, arrival.headers["webhook-id"]) == (method, MESSAGE.event_id)
    verify(target.secret, arrival, monkeypatch)


async def test_a_custom_body_is_what_the_template_gives_and_is_signed(
    channel: WebhookChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as receiver:
        target = WebhookTarget(url=receiver.url, format="custom")
        await channel.send(message(content={"body": '{"id": "1001"}'}), target)
    (arrival,) = receiver.requests
    assert (arrival.headers["content-type"], arrival.body) == ("application/json", b'{"id": "1001"}')
    assert verify(target.secret, arrival, monkeypatch) == {"id": "1001"}


async def test_a_custom_body_has_the_content_type_that_a_header_sets(channel: WebhookChannel) -> None:
    async with Receiver() as receiver:
        headers = {"Content-Type": SecretStr("text/csv; charset=utf-8"), "X-A": SecretStr("b")}
        target = WebhookTarget(url=receiver.url, format="custom", headers=headers)
        await channel.send(message(content={"body": "id;é"}), target)
    (arrival,) = receiver.requests
    assert arrival.headers.getall("content-type") == ["text/csv; charset=utf-8"]
    assert (arrival.headers["x-a"], arrival.body) == ("b", "id;é".encode())


@pytest.mark.parametrize("content_type", [None, "application/vnd.api+json"])
async def test_a_custom_body_that_is_not_the_json_that_it_says_is_never_sent(
    channel: WebhookChannel, content_type: str | None
) -> None:
    headers = {"content-type": SecretStr(content_type)} if content_type else {}
    async with Receiver() as receiver:
        target = WebhookTarget(url=receiver.url, format="custom", headers=headers)
        with pytest.raises(SendFailed) as caught:
            await channel.send(message(content={"body": '{"canary": }'}), target)
    assert (caught.value.permanent, receiver.requests) == (True, [])
    assert "body is not JSON (line 1, column 12)" in caught.value.detail
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize(
    ("content_type", "escape"),
    [
        (None, "json"),
        ("application/problem+JSON; x=y", "json"),
        ("application/xml", "html"),
        ("image/svg+xml", "html"),
        ("application/x-www-form-urlencoded", "url"),
        ("text/plain;charset=UTF-8", None),
    ],
)
def test_values_are_escaped_for_the_content_type(content_type: str | None, escape: str | None) -> None:
    headers = {"Content-Type": SecretStr(content_type)} if content_type else {}
    target = WebhookTarget(url="https://example.com", format="custom", headers=headers)
    templates = WebhookChannel.templates_for(target)
    assert templates is not None
    assert templates.escapes.get("body") == escape
    assert WebhookChannel.templates_for(WebhookTarget(url="https://example.com")) is None


@pytest.mark.parametrize(
    "target",
    [
        {"method": "DELETE"},
        {"format": "other"},
        {"format": "raw", "headers": {"Content-Type": "text/plain"}},
        {"format": "custom", "headers": {"Content-Type": "plain"}},
        {"format": "custom", "headers": {"Content-Type": "text/plain; charset=latin-1"}},
        {"format": "custom", "headers": {"Content-Type": "text/plain", "content-type": "text/plain"}},
        {"format": "custom", "headers": {"Content-Encoding": "gzip"}},
    ],
)
def test_a_method_format_or_content_type_that_cannot_be_is_refused(target: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebhookTarget.model_validate({"url": "https://example.com", **target})


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 409, 418, 422, 429, 500, 502, 503])
async def test_what_is_not_2xx_fails_and_may_be_tried_again(channel: WebhookChannel, status: int) -> None:
    async with Receiver([Reply(status, b"no", headers={"Location": "/elsewhere"})]) as receiver:
        with pytest.raises(SendFailed) as caught:
            await channel.send(MESSAGE, WebhookTarget(url=receiver.url))
    assert len(receiver.requests) == 1
    assert (caught.value.status_code, caught.value.response_body) == (status, "no")
    assert not caught.value.permanent
    assert str(status) in caught.value.detail


async def test_410_is_permanent(channel: WebhookChannel) -> None:
    async with Receiver([410]) as receiver:
        with pytest.raises(SendFailed) as caught:
            await channel.send(MESSAGE, WebhookTarget(url=receiver.url))
    assert caught.value.permanent
    assert caught.value.status_code == 410


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [
        (429, "120", 120.0),
        (503, "120", 120.0),
        (503, format_datetime(START + timedelta(seconds=90), usegmt=True), 90.0),
        (500, "120", 120.0),
        (302, "120", 120.0),
    ],
)
async def test_each_status_carries_the_delay_that_is_asked_for(
    channel: WebhookChannel, status: int, value: str, seconds: float
) -> None:
    async with Receiver([Reply(status, headers={"Retry-After": value})]) as receiver:
        with pytest.raises(SendFailed) as caught:
            await channel.send(MESSAGE, WebhookTarget(url=receiver.url))
    assert caught.value.retry_after == seconds


async def test_custom_headers_are_sent_and_an_echoed_secret_is_masked(channel: WebhookChannel) -> None:
    async with Receiver(lambda arrival: Reply(400, "you sent " + arrival.headers["Authorization"])) as receiver:
        target = WebhookTarget(url=receiver.url, headers={"Authorization": SecretStr("Bearer canary")})
        with pytest.raises(SendFailed) as caught:
            await channel.send(MESSAGE, target)
    assert receiver.requests[0].headers["authorization"] == "Bearer canary"
    assert caught.value.response_body == "you sent **********"


async def test_at_most_4_kib_of_an_answer_are_kept(channel: WebhookChannel) -> None:
    async with Receiver([Reply(200, b"\xff" * 100_000)]) as receiver:
        receipt = await channel.send(MESSAGE, WebhookTarget(url=receiver.url))
    assert receipt.response_body == "\N{REPLACEMENT CHARACTER}" * 4096


@pytest.mark.parametrize(
    "name",
    [
        *("webhook-id", "Webhook-Anything", "HOST", "Content-Length", "content-type", "Transfer-Encoding"),
        *("Connection", "traceparent", "a b", "a:b", "a\r\nb", "", "ü"),
    ],
)
def test_reserved_and_malformed_header_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        WebhookTarget.model_validate({"url": "https://example.com", "headers": {name: "x"}})


@given(st.text().filter(lambda text: not (text.isascii() and text.isprintable() and text.strip(" ") == text != "")))
def test_a_header_value_with_anything_but_printable_ascii_is_refused(value: str) -> None:
    if "\t" not in value.strip():
        with pytest.raises(ValidationError):
            WebhookTarget.model_validate({"url": "https://example.com", "headers": {"X-A": value}})


@pytest.mark.parametrize("value", ["\r\nb", "\n", "\x00b", "ü", " ", "\t", "\x7f", "a" * 5000])
def test_a_header_value_that_would_split_the_message_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookTarget.model_validate({"url": "https://example.com", "headers": {"X-A": f"canary{value}"}})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("secret", ["abc", "whsec_", "whsec_!!!!", "whsec_" + "QUJD", "whsec_" + "A" * 200])
def test_a_secret_that_is_not_24_to_64_bytes_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookTarget.model_validate({"url": "https://example.com", "secret": secret})
    assert secret not in str(caught.value).replace("`whsec_`", "") or secret == "whsec_"


def test_each_target_without_a_secret_gets_its_own() -> None:
    secrets = {WebhookTarget(url="https://example.com").secret.get_secret_value() for _ in range(10)}
    assert len(secrets) == 10
    assert all(Webhook(secret) for secret in secrets)


async def test_a_broken_connection_is_a_failure_without_the_url(make_context: MakeContext) -> None:
    context: ChannelContext = make_context()
    async with Receiver() as receiver:
        url = receiver.url
    with pytest.raises(SendFailed) as caught:
        await WebhookChannel(context).send(MESSAGE, WebhookTarget(url=url + "/canary"))
    assert caught.value.detail == "the connection was refused"
    assert not caught.value.permanent
