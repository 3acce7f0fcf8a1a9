"""Places where content breaks a rule: RFC 6901 pointers, and pydantic's errors without what was sent."""

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from hub.errors import Fault

MAX_FAULTS = 20
"""The most that one answer lists."""

_PLAIN = {
    "missing": "is required",
    "extra_forbidden": "is not a known member",
    "union_tag_invalid": "names none of the known kinds",
    "union_tag_not_found": "does not say of which kind it is",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
}


def pointer(*parts: str | int) -> str:
    """The RFC 6901 pointer of a path, each name cut at 64 characters: `pointer("data", "a/b", 0)` is `/data/a~1b/0`."""
    return "".join("/" + str(part)[:64].replace("~", "~0").replace("/", "~1") for part in parts)


def pydantic_faults(error: ValidationError, *prefix: str | int) -> tuple[Fault, ...]:
    """What pydantic found, each with a pointer under `prefix` and without the input or any part of its value."""
    # Input and context hold what was sent, and a problem never repeats that.
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(Fault(_detail(e["type"], e["msg"]), pointer(*prefix, *e["loc"])) for e in found[:MAX_FAULTS])


def request_faults(error: RequestValidationError) -> tuple[Fault, ...]:
    """The same of a request: pointers into the body, or under `/query`, `/path` and `/header`."""
    found = ((e["type"], e["msg"], [part for part in e["loc"] if part != "body"]) for e in error.errors()[:MAX_FAULTS])
    return tuple(Fault(_detail(kind, message), pointer(*place)) for kind, message, place in found)


def _detail(kind: str, message: str) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if message.startswith("value is not a valid email address"):
        return "must be an e-mail address"
    return message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
