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

_slices = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LINE = re.compile(rb"\S[^\n]*")


def parse(raw: bytes) -> Any:
    """Parse JSON by RFC 8259: UTF-8, without NaN; the last of members with equal names counts. Raises `BadRequest`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
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
    return members, _slices.decode(raw)


def split_array(body: bytes, limit: int) -> list[bytes]:
    """The elements of a JSON array, each as its bytes.

    Raises `BadRequest` when the body is not an array or is empty, and `TooLarge` when there are more than `limit`.
    """
    try:
        batch = _batch(limit + 1).decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest("Not a valid JSON array.") from None
    return _counted([raw for raw in map(bytes, msgspec.structs.astuple(batch)) if raw], limit)


def split_lines(body: bytes, limit: int) -> list[bytes]:
    """The lines of NDJSON that are not blank, each as its bytes.

    Raises `BadRequest` when there is none, and `TooLarge` when there are more than `limit`.
    """
    return _counted([line.group() for line in islice(_LINE.finditer(body), limit + 1)], limit)


def _counted(elements: list[bytes], limit: int) -> list[bytes]:
    if not elements:
        raise BadRequest("The batch is empty.")
    if len(elements) > limit:
        raise TooLarge(f"A batch may hold at most {limit} events; send the rest in another request.")
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
