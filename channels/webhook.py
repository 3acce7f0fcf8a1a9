"""Signed webhooks, as Standard Webhooks 1.0 defines them."""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

import httpx
import orjson
from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from channels.base import (
    SECRET_PREFIX,
    Channel,
    Escape,
    InvalidContent,
    Message,
    Receipt,
    SendFailed,
    SignedTarget,
    Templates,
    new_secret,
)
from channels.http import HttpUrl, deliver, encoded, host_of, is_json, parsed_url, receipt

MAX_HEADERS = 32
_JSON = "application/json"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,4094}[\x21-\x7e])?")
_MEDIA_TYPE = re.compile(
    r'[!#$&^_.+0-9A-Za-z-]+/[!#$&^_.+0-9A-Za-z-]+(?:\s*;\s*(?!charset)[0-9A-Za-z-]+=[^;]+|\s*;\s*charset="?utf-8"?)*',
    re.IGNORECASE,
)
_RESERVED = re.compile(
    r"webhook-.*|proxy-.*|host|content-(?:length|encoding)|transfer-encoding|connection|keep-alive|te|trailer"
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
            raise ValueError("must not set `webhook-*`, `host`, `content-length` or headers of the connection")
        if not _VALUE.fullmatch(value.get_secret_value()):
            raise ValueError("must contain only header values of printable ASCII, at most 4096 characters long")
    return headers


class WebhookTarget(SignedTarget):
    """Where to send events, the secret they are signed with, and their format.

    With the format `custom`, the body is the template field `body`, and a header `content-type` may say what it is; by
    default it is JSON.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"url": "https://example.com/hooks"},
                {"url": "https://api.example.com/orders", "method": "PUT", "format": "custom"},
            ]
        }
    )

    url: HttpUrl
    secret: Annotated[SecretStr, AfterValidator(_checked_secret)] = Field(default_factory=new_secret)
    """Generated when the client gives none."""
    headers: Annotated[dict[str, SecretStr], Field(max_length=MAX_HEADERS), AfterValidator(_checked_headers)] = Field(
        default_factory=dict
    )
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    format: Literal["standard", "cloudevents", "raw", "custom"] = "standard"

    @model_validator(mode="after")
    def _content_type_of_custom_only(self) -> Self:
        given = self.given_content_type
        if given is not None and self.format != "custom":
            raise ValueError("headers may set content-type with the format custom only; other formats have their own")
        if given is not None and not _MEDIA_TYPE.fullmatch(given):
            raise ValueError("headers must set content-type to a media type without a charset other than utf-8")
        return self

    @property
    def given_content_type(self) -> str | None:
        """The content type that a header sets."""
        values = (value for name, value in self.headers.items() if name.lower() == "content-type")
        return next((value.get_secret_value() for value in values), None)

    @property
    def media_type(self) -> str:
        """The media type of a custom body, in lower case and without parameters."""
        return (self.given_content_type or _JSON).partition(";")[0].strip().lower()


class WebhookChannel(Channel[WebhookTarget]):
    """Sends each event with a signature that the receiver can verify with any Standard Webhooks library.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    kind = "webhook"
    Target = WebhookTarget
    default_template: ClassVar[Mapping[str, Any]] = {"body": "{{ data | json }}"}
    escapes: ClassVar[Mapping[str, Escape]] = {"body": "json"}

    @classmethod
    def templates_for(cls, target: WebhookTarget) -> Templates | None:
        if target.format != "custom":
            return None
        how = _escape(target.media_type)
        return Templates(cls.kind, {"body": how} if how else {})

    @classmethod
    def check_content(cls, content: Mapping[str, Any], target: WebhookTarget) -> None:
        if is_json(target.media_type):
            try:
                orjson.loads(content["body"])
            except orjson.JSONDecodeError as error:
                where = f"line {error.lineno}, column {error.colno}"
                raise InvalidContent("body", f"is not JSON ({where}); `| json` writes any value as JSON") from None

    def host(self, target: WebhookTarget) -> str:
        return host_of(target.url)

    async def send(self, message: Message, target: WebhookTarget) -> Receipt:
        content_type, body = _body(message, target)
        custom = {name: value.get_secret_value() for name, value in target.headers.items()}
        # The instant of this attempt and not of the event, because receivers refuse old timestamps as replays.
        timestamp = str(int(message.sent_at.timestamp()))
        # Custom headers come first, so that they can never replace those of the channel.
        headers = {
            **{name: value for name, value in custom.items() if name.lower() != "content-type"},
            "content-type": content_type,
            "webhook-id": message.event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": _signatures(message, timestamp, body, target),
        }
        if message.test:
            headers["webhook-test"] = "true"
        if message.traceparent:
            headers["traceparent"] = message.traceparent
        request = httpx.Request(target.method, parsed_url(target.url), headers=headers, content=body)
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


def _escape(media_type: str) -> Escape | None:
    if is_json(media_type):
        return "json"
    if media_type in {"text/html", "text/xml", "application/xml"} or media_type.endswith("+xml"):
        return "html"
    return "url" if media_type == "application/x-www-form-urlencoded" else None


def _body(message: Message, target: WebhookTarget) -> tuple[str, bytes]:
    """The content type and the bytes to send. `data` is inserted as it was published, without being parsed; see
    docs/decisions/0003. Raises `SendFailed` for a custom body that is not what it says."""
    if target.format == "standard":
        head = orjson.dumps({"type": message.type, "timestamp": message.time}, option=orjson.OPT_UTC_Z)
        return _JSON, b'%b,"data":%b}' % (head[:-1], message.data)
    if target.format == "cloudevents":
        return "application/cloudevents+json", _cloudevent(message)
    if target.format == "custom":
        try:
            WebhookChannel.check_content(message.content, target)
        except InvalidContent as wrong:
            raise SendFailed(f"the message cannot be sent: {wrong}", permanent=True) from None
        return target.given_content_type or _JSON, str(message.content["body"]).encode()
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
