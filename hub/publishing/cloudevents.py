"""CloudEvents 1.0 over HTTP: structured, batched and binary mode (JSON format 1.0.2, HTTP binding 1.0.2).

A batch is read with `rawjson.split_array`, and then each element with `parse_structured`. The extensions
`partitionkey`, `expirytime` and `traceparent` are also used as ordering key, expiry and trace context.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import orjson

from channels.http import decoded, is_json
from hub.catalogue.patterns import MAX_TYPE_LENGTH, is_type
from hub.errors import BadRequest, Fault, Invalid, UnsupportedMedia
from hub.instants import parse_instant
from hub.media_types import CLOUDEVENT, CLOUDEVENTS_BATCH, media_type
from hub.publishing.event import ParsedEvent, is_text
from hub.publishing.rawjson import BYTE_ORDER_MARK, parse, parse_object
from hub.validation import pointer

Mode = Literal["structured", "batch", "binary"]
Value = str | int | bool

MAX_TEXT = 1_024
MAX_EXTENSIONS = 32
_KNOWN = frozenset(("specversion", "id", "source", "type", "subject", "time", "datacontenttype"))
_NAME = re.compile(r"[a-z0-9]{1,255}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def mode(content_type: str | None, headers: Mapping[str, str]) -> Mode | None:
    """In which mode a request carries CloudEvents; None when it carries none. Header names are lower-case.

    Raises `UnsupportedMedia` for an event format other than JSON. See section 3 of the HTTP binding.
    """
    media = media_type(content_type)
    if media.startswith("application/cloudevents"):
        if media == CLOUDEVENTS_BATCH:
            return "batch"
        if media == CLOUDEVENT:
            return "structured"
        raise UnsupportedMedia("The only CloudEvents format that this hub reads is JSON.")
    return "binary" if "ce-specversion" in headers else None


def parse_structured(raw: bytes) -> ParsedEvent:
    """Read an event in the JSON format.

    Raises `BadRequest` when it is not JSON, and `Invalid`, with pointers, when it breaks a rule of CloudEvents.
    """
    members, slices = parse_object(raw)
    attributes = {name: value for name, value in members.items() if value is not None}
    given = members.keys() & {"data", "data_base64"}
    # Data is not an attribute, so the limits of attributes do not apply to it.
    for name in given:
        attributes.pop(name, None)
    content_type = attributes.get("datacontenttype")
    payload = _Payload(b"null", None)
    if len(given) == 2:
        raise _invalid(Fault("must be absent when data is present", "/data_base64"))
    if "data" in given:
        payload = _Payload(bytes(slices["data"]), members["data"])
    elif "data_base64" in given:
        payload = _payload(_unbase64(members["data_base64"]), content_type if isinstance(content_type, str) else None)
    return _parsed(attributes, payload, "")


def parse_binary(headers: Mapping[str, str], body: bytes) -> ParsedEvent:
    """Read an event whose attributes are headers and whose data is the body. Header names are lower-case.

    Data of a JSON media type is kept as it is, and so is JSON without a media type. Text becomes a JSON string, and
    anything else a string of base64. Raises as `parse_structured` does; pointers name the headers.
    """
    attributes: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            attributes[name[3:]] = _header(name, value)
    for name in attributes.keys() & {"data", "data_base64", "datacontenttype"}:
        raise _invalid(Fault("must not be a header: the body is the data, and Content-Type is its type", f"/ce-{name}"))
    content_type = headers.get("content-type")
    if content_type:
        attributes["datacontenttype"] = content_type
    return _parsed(attributes, _payload(body, content_type), "ce-")


@dataclass(frozen=True, slots=True)
class _Payload:
    data: bytes
    value: Any
    data_base64: bool = False


def _payload(body: bytes, content_type: str | None) -> _Payload:
    if not body:
        return _Payload(b"null", None)
    if not content_type:
        with suppress(BadRequest):
            return _json_payload(body)
    elif is_json(content_type):
        return _json_payload(body)
    text = decoded(body, content_type or "")
    value = base64.b64encode(body).decode() if text is None else text
    return _Payload(orjson.dumps(value), value, text is None)


def _json_payload(body: bytes) -> _Payload:
    return _Payload(body.removeprefix(BYTE_ORDER_MARK), parse(body))


def _unbase64(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _invalid(Fault("must be a base64 string", "/data_base64")) from None


def _header(name: str, value: str) -> str:
    """Section 3.1.3.2 of the HTTP binding: unquote, then decode percent escapes once; the result must be UTF-8."""
    quoted = _QUOTED.fullmatch(value)
    plain = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    try:
        return unquote_to_bytes(plain.encode("ascii")).decode()
    except ValueError:
        raise _invalid(Fault("must be ASCII with UTF-8 percent-encoded", pointer(name))) from None


def _parsed(attributes: Mapping[str, Any], payload: _Payload, prefix: str) -> ParsedEvent:
    """Check the attributes; `prefix` precedes their names in pointers."""
    reader = _Reader(attributes, prefix)
    if reader.text("specversion", required=True) not in ("1.0", None):
        reader.wrong("specversion", "must be 1.0")
    type_ = reader.text("type", required=True, longest=MAX_TYPE_LENGTH)
    if type_ is not None and not is_type(type_):
        reader.wrong("type", "must be printable ASCII without spaces and `*`")
    event = ParsedEvent(
        type=type_ or "",
        source=reader.text("source", required=True) or "",
        source_id=reader.text("id", required=True),
        subject=reader.text("subject"),
        time=reader.instant("time"),
        data=payload.data,
        data_value=payload.value,
        content_type=reader.media_type(),
        data_base64=payload.data_base64,
        extensions=reader.extensions(),
        ordering_key=reader.text("partitionkey"),
        expires_at=reader.instant("expirytime"),
        traceparent=reader.traceparent(),
    )
    if reader.faults:
        raise _invalid(*reader.faults)
    return event


class _Reader:
    """Reads attributes by the rules of CloudEvents 1.0.2, section 3, and collects what breaks one in `faults`."""

    def __init__(self, attributes: Mapping[str, Any], prefix: str) -> None:
        self._attributes = attributes
        self._prefix = prefix
        self.faults: list[Fault] = []

    def wrong(self, name: str, detail: str) -> None:
        self.faults.append(Fault(detail, pointer(self._prefix + name)))

    def text(self, name: str, *, required: bool = False, longest: int = MAX_TEXT) -> str | None:
        value = self._attributes.get(name)
        if value is None:
            if required:
                self.wrong(name, "is required")
        elif not isinstance(value, str):
            self.wrong(name, "must be a string")
        elif not 0 < len(value) <= longest or not is_text(value):
            self.wrong(name, f"must be 1 to {longest} characters long, without control characters")
        else:
            return value
        return None

    def media_type(self) -> str | None:
        value = self.text("datacontenttype")
        if value is not None and not value.isascii():
            self.wrong("datacontenttype", "must be a media type, in ASCII")
        return value

    def instant(self, name: str) -> datetime | None:
        value = self._attributes.get(name)
        if value is None:
            return None
        try:
            return parse_instant(value)
        except ValueError as error:
            self.wrong(name, str(error))
            return None

    def extensions(self) -> Mapping[str, Value]:
        extensions: dict[str, Value] = {}
        for name, value in self._attributes.items():
            if name in _KNOWN:
                continue
            if not _NAME.fullmatch(name):
                self.wrong(name, "must have a name of 1 to 255 lower-case letters and digits")
            elif isinstance(value, str) and (len(value) > MAX_TEXT or not is_text(value)):
                self.wrong(name, f"must be at most {MAX_TEXT} characters long, without control characters")
            elif not isinstance(value, Value) or (isinstance(value, int) and not -(2**31) <= value < 2**31):
                self.wrong(name, "must be a string, a boolean, or a 32-bit integer")
            else:
                extensions[name] = value
        if len(extensions) > MAX_EXTENSIONS:
            self.faults.append(Fault(f"must not have more than {MAX_EXTENSIONS} extensions", ""))
        return extensions

    def traceparent(self) -> str | None:
        value = self._attributes.get("traceparent")
        # One that is malformed is left out, as W3C Trace Context has it (section 3.2), and the event is accepted.
        return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None


def _invalid(*faults: Fault) -> Invalid:
    return Invalid("The CloudEvent is malformed.", errors=faults)
