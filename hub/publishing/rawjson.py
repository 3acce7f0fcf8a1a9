"""Reading JSON bodies strictly, and keeping each part as the bytes that were sent (see docs/decisions/0003)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec
import orjson

from hub.errors import BadRequest, Fault, Invalid, TooLarge

MAX_DEPTH = 100
"""How deep arrays and objects may be nested. What the hub sends on must be readable by other parsers too."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""May stand before a body, and is no part of it (RFC 8259, section 8.1)."""

_slices = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LINE = re.compile(rb"\S[^\n]*")
_SEPARATOR = re.compile(rb"[ \t\r\n]*[\[,][ \t\r\n]*")
_LEGIBLE = bytes(
    code if 0x20 <= code < 0x7F and code != 0x5C else 0x20 if code in b"\t\r\n" else 0x78 for code in range(256)
)
"""For each byte itself, or what may stand in its place within a string: `x`, and a blank for white space."""


def parse(raw: bytes) -> Any:
    """Parse JSON by RFC 8259: UTF-8, without NaN; the last of members with equal names counts. Raises `BadRequest`."""
    try:
        value = orjson.loads(raw.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        if not first_byte(raw):
            raise BadRequest("The body is empty.") from None
        raise BadRequest(f"Not valid JSON (line {error.lineno}, column {error.colno}).") from None
    # Counting brackets is quick, and nearly every body has too few of them to be nested too deep.
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _is_deep(value):
        raise BadRequest(f"Nested more than {MAX_DEPTH} deep.")
    return value


def parse_object(raw: bytes) -> tuple[dict[str, Any], Mapping[str, msgspec.Raw]]:
    """The members of a JSON object: parsed, and as the bytes that were sent (`bytes(…)` of each).

    Raises `BadRequest` when the body is not JSON, and `Invalid` when it is not an object.

    Example:

        members, slices = parse_object(b'{"data": {"n": 1.0}}')
        members["data"]         # {"n": 1.0}
        bytes(slices["data"])   # b'{"n": 1.0}'
    """
    members = parse(raw)
    if not isinstance(members, dict):
        raise Invalid("An event must be a JSON object.", errors=[Fault("must be an object", "")])
    return members, _slices.decode(raw.removeprefix(BYTE_ORDER_MARK))


def first_byte(body: bytes) -> bytes:
    """The byte with which the JSON of a body begins, `b"["` for an array; empty where there is none."""
    return body.removeprefix(BYTE_ORDER_MARK).lstrip()[:1]


def split_array(body: bytes, limit: int) -> list[bytes]:
    """The elements of a JSON array, each as its bytes, also those that cannot be read.

    Raises `BadRequest` when the body is not an array or is empty, and `TooLarge` when there are more than `limit`.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    batch = _batch(limit + 1)
    try:
        elements = batch.decode(body)
    except (msgspec.DecodeError, RecursionError):
        # An element that cannot be read, such as one with NaN or half a character in it, must not spoil the others.
        return _counted(_split_unread(body, batch), limit)
    return _counted([raw for raw in map(bytes, msgspec.structs.astuple(elements)) if raw], limit)


def _split_unread(body: bytes, batch: msgspec.json.Decoder[Any]) -> list[bytes]:
    """The elements at the places that they have in a copy which can be read. Raises `BadRequest`."""
    # Of equal length, and in C: a body may have megabytes.
    legible = body.replace(b"\\\\", b"xx").replace(b'\\"', b"xx").translate(_LEGIBLE)
    legible = legible.replace(b"NaN", b"111").replace(b"Infinity", b"11111111")
    try:
        elements = batch.decode(legible)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest("Not a valid JSON array.") from None
    found: list[bytes] = []
    position = 0
    for length in map(len, map(bytes, msgspec.structs.astuple(elements))):
        separator = _SEPARATOR.match(body, position)
        if not length or separator is None:
            break
        position = separator.end() + length
        found.append(body[separator.end() : position])
    return found


def split_lines(body: bytes, limit: int) -> list[bytes]:
    """The lines of NDJSON that are not blank, each as its bytes.

    Raises `BadRequest` when there is none, and `TooLarge` when there are more than `limit`.
    """
    lines = (line.group().removeprefix(BYTE_ORDER_MARK) for line in _LINE.finditer(body))
    return _counted(list(islice(filter(bytes.strip, lines), limit + 1)), limit)


def _counted(elements: list[bytes], limit: int) -> list[bytes]:
    if not elements:
        raise BadRequest("The batch is empty.")
    if len(elements) > limit:
        raise TooLarge(
            f"A batch may hold at most {limit} events: send the rest in another request; the operator can raise "
            "HUB_MAX_BATCH_EVENTS."
        )
    return elements


@lru_cache(maxsize=8)
def _batch(size: int) -> msgspec.json.Decoder[Any]:
    # Read as a struct with this many fields, an array that is too long is cut off; a list would hold all its elements.
    fields = [(f"_{index}", msgspec.Raw, msgspec.Raw()) for index in range(size)]
    return msgspec.json.Decoder(msgspec.defstruct("Batch", fields, array_like=True))


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for outer in level
            if isinstance(outer, list | dict)
            for child in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)
