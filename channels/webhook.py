"""Signed webhooks, as Standard Webhooks 1.0 defines them."""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

import httpx
import orjson
from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from channels.base import SECRET_PREFIX, Channel, Message, Receipt, SignedTarget, new_secret
from channels.http import HttpUrl, deliver, encoded, is_json, parsed_url, receipt

MAX_HEADERS = 32
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,4094}[\x21-\x7e])?")
_RESERVED = re.compile(
    r"webhook-.*|proxy-.*|host|content-(?:length|type|encoding)|transfer-encoding|connection|keep-alive|te|trailer"
    r"|upgrade|expect|accept-encoding|traceparent|tracestate",
    re.IGNORECASE,
)
"""Headers that the channel or the connection sets, or that could end or split a message (RFC 9110, section 7.6.1)."""

_UNNAMED = {False: "application/json", True: "application/octet-stream"}
"""The media type of data for which the publisher named none, by whether it is base64."""


def _checked_secret(secret: SecretStr) -> SecretStr:
    try:
        key = _key(secret.get_secret_value())
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("must be `whsec_` and 24 to 64 bytes in base64")
    return secret


def _checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len({name.lower() for name in headers}) != len(headers):
        raise ValueError("must not contain a header twice")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError("must not contain a header name with characters that are not allowed in one")
        if _RESERVED.fullmatch(name):
            raise ValueError("must not set `webhook-*`, `host`, `content-*` or headers of the connection")
        if not _VALUE.fullmatch(value.get_secret_value()):
            raise ValueError("must contain only header values of printable ASCII, at most 4096 characters long")
    return headers


class WebhookTarget(SignedTarget):
    """Where to post events, the secret they are signed with, and their format."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"url": "https://example.com/hooks"}]})

    url: HttpUrl
    secret: Annotated[SecretStr, AfterValidator(_checked_secret)] = Field(default_factory=new_secret)
    """Generated when the client gives none."""
    headers: Annotated[dict[str, SecretStr], Field(max_length=MAX_HEADERS), AfterValidator(_checked_headers)] = Field(
        default_factory=dict
    )
    format: Literal["standard", "cloudevents", "raw"] = "standard"


class WebhookChannel(Channel[WebhookTarget]):
    """Posts each event with a signature that the receiver can verify with any Standard Webhooks library.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    kind = "webhook"
    Target = WebhookTarget

    async def send(self, message: Message, target: WebhookTarget) -> Receipt:
        content_type, body = _body(message, target.format)
        custom = {name: value.get_secret_value() for name, value in target.headers.items()}
        # The instant of this attempt and not of the event, because receivers refuse old timestamps as replays.
        timestamp = str(int(message.sent_at.timestamp()))
        # Custom headers come first, so that they can never replace those of the channel.
        headers = {
            **custom,
            "content-type": content_type,
            "webhook-id": message.event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": _signatures(message, timestamp, body, target),
        }
        if message.traceparent:
            headers["traceparent"] = message.traceparent
        request = httpx.Request("POST", parsed_url(target.url), headers=headers, content=body)
        response = await deliver(self.context.http, request)
        return receipt(response, message.sent_at, secrets=custom.values())


def _signatures(message: Message, timestamp: str, body: bytes, target: SignedTarget) -> str:
    """One signature for each secret that is valid at the instant of this attempt, the current secret first."""
    signed = f"{message.event_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()
        for secret in _secrets(target, message.sent_at)
    )


def _secrets(target: SignedTarget, now: datetime) -> Iterator[str]:
    yield target.secret.get_secret_value()
    for previous in target.previous_secrets:
        if previous.expires_at > now:
            yield previous.secret.get_secret_value()


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError("not a signing secret")
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)


def _body(message: Message, form: Literal["standard", "cloudevents", "raw"]) -> tuple[str, bytes]:
    """The media type and the bytes to send. `data` is inserted as it was published, without being parsed; see
    docs/decisions/0003.
    """
    if form == "standard":
        head = orjson.dumps({"type": message.type, "timestamp": message.time}, option=orjson.OPT_UTC_Z)
        return "application/json", b'%b,"data":%b}' % (head[:-1], message.data)
    if form == "cloudevents":
        return "application/cloudevents+json", _cloudevent(message)
    return _published(message)


def _published(message: Message) -> tuple[str, bytes]:
    """What was published, as it was before it became JSON."""
    content_type = message.content_type or _UNNAMED[message.data_base64]
    if message.data_base64:
        return content_type, base64.b64decode(orjson.loads(message.data))
    if not is_json(content_type):
        value = orjson.loads(message.data)
        if value is None:
            return content_type, b""
        if isinstance(value, str):
            return encoded(value, content_type)
    return content_type, message.data


def _cloudevent(message: Message) -> bytes:
    """Structured mode (CloudEvents 1.0.2, JSON event format; Distributed Tracing extension)."""
    attributes: dict[str, object] = {"traceparent": message.traceparent} if message.traceparent else {}
    attributes |= message.extensions
    attributes |= {
        "specversion": "1.0",
        "id": message.source_id or message.event_id,
        "source": message.source,
        "type": message.type,
        "time": message.time,
        "datacontenttype": message.content_type or _UNNAMED[message.data_base64],
    }
    if message.subject:
        attributes["subject"] = message.subject
    member = b"data_base64" if message.data_base64 else b"data"
    head = orjson.dumps(attributes, option=orjson.OPT_UTC_Z)
    return b'%b,"%b":%b}' % (head[:-1], member, message.data)
