"""What the operators of a filter test.

Ordering (`gt gte lt lte`) compares numbers and strings that are plain decimals (`"10.50"`) as numbers. When the rule's
own value is any other string, it compares strings by code point, which orders RFC 3339 instants of one form. A rule
that cannot compare does not hold.
"""

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from hub.catalogue.subscriptions.filters.paths import MISSING
from hub.errors import Fault, Invalid
from hub.validation import pointer

MAX_STRING = 1_024
MAX_VALUES = 1_000

Test = Callable[[Any], str | None]
"""Gives why the rule does not hold for a value, or None when it holds."""
Place = tuple[str | int, ...]

_DECIMAL = re.compile(r"-?[0-9]{1,60}(\.[0-9]{1,60})?")


def malformed(detail: str, place: Place) -> Invalid:
    return Invalid("The filter is malformed.", errors=[Fault(detail, pointer(*place))])


def _scalar(operand: Any, place: Place) -> Any:
    if isinstance(operand, dict | list):
        raise malformed("must be a string, a number, true, false or null", place)
    if isinstance(operand, str) and len(operand) > MAX_STRING:
        raise malformed(f"must be at most {MAX_STRING} characters long", place)
    return operand


def _text(operand: Any, place: Place) -> str:
    if not isinstance(operand, str) or not operand:
        raise malformed("must be a string, and not empty", place)
    return str(_scalar(operand, place))


def _same(value: Any, operand: Any) -> bool:
    # Python says that true equals 1; JSON does not.
    return isinstance(value, bool) is isinstance(operand, bool) and bool(value == operand)


def number_of(value: Any) -> Decimal | int | None:
    """The number that a value is compared as, or None when it is not a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float):
        # By its shortest text: 0.1 then is 0.1, and not the binary fraction next to it.
        return Decimal(repr(value))
    if isinstance(value, str) and len(value) < 128 and _DECIMAL.fullmatch(value):
        return Decimal(value)
    return None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _what(reason: str, value: Any) -> str:
    return "was missing" if value is MISSING else reason


def _eq(operand: Any, place: Place) -> Test:
    wanted = _scalar(operand, place)
    return lambda value: None if _same(value, wanted) else _what("differed", value)


def _ne(operand: Any, place: Place) -> Test:
    unwanted = _scalar(operand, place)
    return lambda value: "was equal" if _same(value, unwanted) else None


def _in(operand: Any, place: Place) -> Test:
    if not isinstance(operand, list) or not 0 < len(operand) <= MAX_VALUES:
        raise malformed(f"must be an array of 1 to {MAX_VALUES} values", place)
    # With whether it is a boolean, for the reason that `_same` gives.
    wanted = {(isinstance(one, bool), _scalar(one, (*place, index))) for index, one in enumerate(operand)}

    def test(value: Any) -> str | None:
        if not isinstance(value, dict | list) and (isinstance(value, bool), value) in wanted:
            return None
        return _what("was none of these", value)

    return test


def _order(holds: Callable[[Any, Any], bool], reason: str, operand: Any, place: Place) -> Test:
    number = number_of(operand)
    if number is None and not isinstance(operand, str):
        raise malformed("must be a number or a string", place)
    limit = _text(operand, place) if number is None else number
    comparable: Callable[[Any], Any] = _string if number is None else number_of

    def test(value: Any) -> str | None:
        given = comparable(value)
        if given is None:
            return _what("could not be compared", value)
        return None if holds(given, limit) else reason

    return test


def _affix(has: Callable[[str, str], bool], reason: str, operand: Any, place: Place) -> Test:
    text = _text(operand, place)
    return lambda value: None if isinstance(value, str) and has(value, text) else _what(reason, value)


def _contains(operand: Any, place: Place) -> Test:
    """A part of a string, or an element of an array."""
    wanted = _scalar(operand, place)

    def test(value: Any) -> str | None:
        if isinstance(value, str):
            held = isinstance(wanted, str) and wanted in value
        else:
            # Looked for as Python compares first, because that is fast, and finds everything that JSON calls the same.
            held = isinstance(value, list) and wanted in value and any(_same(one, wanted) for one in value)
        return None if held else _what("did not contain it", value)

    return test


def _exists(operand: Any, place: Place) -> Test:
    if not isinstance(operand, bool):
        raise malformed("must be true or false", place)
    if operand:
        return lambda value: "was missing" if value is MISSING else None
    return lambda value: None if value is MISSING else "was there"


OPERATORS: Mapping[str, Callable[[Any, Place], Test]] = {
    "eq": _eq,
    "ne": _ne,
    "in": _in,
    "gt": partial(_order, operator.gt, "was not above"),
    "gte": partial(_order, operator.ge, "was below"),
    "lt": partial(_order, operator.lt, "was not below"),
    "lte": partial(_order, operator.le, "was above"),
    "prefix": partial(_affix, str.startswith, "began otherwise"),
    "suffix": partial(_affix, str.endswith, "ended otherwise"),
    "contains": _contains,
    "exists": _exists,
}
"""By name; each makes the test of an operand, and raises `Invalid` where it cannot."""
