"""Places where content breaks a rule: RFC 6901 pointers; pydantic's errors in plain words, without what was sent."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from hub.errors import Fault

MAX_FAULTS = 20
"""The most that one answer lists."""

_INSTANT = "must be an RFC 3339 instant with an offset, such as 2026-11-23T12:00:00Z"

_PLAIN = {
    "missing": "is required",
    "extra_forbidden": "is not a known member",
    "union_tag_invalid": "names none of the known kinds",
    "union_tag_not_found": "does not say of which kind it is",
    "none_required": "must be null",
    "invalid_key": "must have strings as the names of its members",
    "json_invalid": "must be JSON",
    "json_type": "must be JSON",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    # Numbers and truth
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "decimal_max_digits": "must have at most {max_digits} digits",
    "decimal_max_places": "must have at most {decimal_places} decimal places",
    "decimal_whole_digits": "must have at most {whole_digits} digits before the decimal point",
    # Text
    "string_type": "must be a string",
    "string_unicode": "must be a string of Unicode characters",
    "string_not_ascii": "must be a string of ASCII characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "url_type": "must be a URL",
    "url_parsing": "must be a URL",
    "url_syntax_violation": "must be a URL",
    "url_too_long": "must have at most {max_length} characters",
    "url_scheme": "must be a URL that begins with {expected_schemes}",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "uuid_version": "must be a UUID of version {expected_version}",
    "ip_v4_address": "must be an IP address",
    "ip_v6_address": "must be an IP address",
    "ip_v4_network": "must be a network, such as 10.0.0.0/8",
    "ip_v6_network": "must be a network, such as 10.0.0.0/8",
    # Objects and arrays
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "set_type": "must be an array",
    "frozen_set_type": "must be an array",
    "iterable_type": "must be an array",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "recursion_depth_exceeded": "must be nested less deeply",
    # Time
    "date_type": "must be a date, such as 2026-11-23",
    "date_parsing": "must be a date, such as 2026-11-23",
    "date_from_datetime_parsing": "must be a date, such as 2026-11-23",
    "date_from_datetime_inexact": "must be a date, such as 2026-11-23",
    "datetime_type": _INSTANT,
    "datetime_parsing": _INSTANT,
    "datetime_object_invalid": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
    "timezone_aware": _INSTANT,
    "time_type": "must be a time of day, such as 12:00:00",
    "time_parsing": "must be a time of day, such as 12:00:00",
    "time_delta_type": "must be a duration, such as P1D",
    "time_delta_parsing": "must be a duration, such as P1D",
    "date_past": "must be in the past",
    "date_future": "must be in the future",
    "datetime_past": "must be in the past",
    "datetime_future": "must be in the future",
}
"""Plain words for the types of pydantic's errors; in braces, limits that a rule has and no part of what was sent."""
_OWN_WORDS = frozenset({"value_error", "assertion_error"})
"""Types whose message is that of a validator, which is written for people."""
_KNOWN = frozenset(get_args(ErrorType))
_ONE = re.compile(r"\b1 (character|item|digit|decimal place)s\b")
_BRANCH = re.compile(r"[a-z]+(?:-[a-z]+)*\[.*\]", re.DOTALL)
"""The part of a place that names the branch of a union, and no member: `function-plain[…]`."""


def pointer(*parts: str | int) -> str:
    """The RFC 6901 pointer of a path, each name cut at 64 characters: `pointer("data", "a/b", 0)` is `/data/a~1b/0`."""
    return "".join("/" + str(part)[:64].replace("~", "~0").replace("/", "~1") for part in parts)


def pydantic_faults(error: ValidationError, *prefix: str | int, known: Iterable[str] = ()) -> tuple[Fault, ...]:
    """What pydantic found, each with a pointer under `prefix` and without the input or any part of its value.

    An unknown member of the document itself, and not of one inside it, is answered with the `known` ones.
    """
    return _faults(error.errors(include_url=False, include_input=False), prefix, known)


def request_faults(found: Iterable[Mapping[str, Any]], known: Iterable[str] = ()) -> tuple[Fault, ...]:
    """The same of what the framework found in a request: pointers into the body, or under `/query`, `/path` and
    `/header`."""
    return _faults(({**one, "loc": one["loc"][one["loc"][:1] == ("body",) :]} for one in found), (), known)


def _faults(
    found: Iterable[Mapping[str, Any]], prefix: tuple[str | int, ...], known: Iterable[str]
) -> tuple[Fault, ...]:
    members = ", ".join(known)
    # As keys, because each branch of a union has an error of its own, often with the same words.
    faults: dict[Fault, None] = {}
    for one in found:
        place = (part for part in one["loc"] if not (isinstance(part, str) and _BRANCH.fullmatch(part)))
        is_unknown = one["type"] == "extra_forbidden" and len(one["loc"]) == 1
        detail = f"{_detail(one)}; known are {members}" if is_unknown and members else _detail(one)
        faults[Fault(detail, pointer(*prefix, *place))] = None
        if len(faults) == MAX_FAULTS:
            break
    return tuple(faults)


def _detail(error: Mapping[str, Any]) -> str:
    kind, message, context = error["type"], error["msg"], error.get("ctx", {})
    if kind in _PLAIN:
        text = _PLAIN[kind].format_map({name: _shortest(value) for name, value in context.items()})
        # The only thing without items that has a length and is no string is a secret.
        return _ONE.sub(r"1 \1", text.replace("items", "characters") if context.get("field_type") == "Value" else text)
    if message.startswith("value is not a valid email address"):
        return "must be an e-mail address"
    if kind in _OWN_WORDS:
        return str(message.removeprefix("Value error, ").removeprefix("Assertion failed, "))
    # What is not pydantic's is of a channel that others wrote, and its words are for people.
    return "is not valid" if kind in _KNOWN else str(message)


def _shortest(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit
