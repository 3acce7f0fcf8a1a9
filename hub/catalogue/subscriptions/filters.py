"""Filters: rules over an event's members, which must all hold before a subscription gets the event.

    {"data.total": {"gte": 100}, "data.currency": ["EUR", "USD"], "any": [{…}, {…}], "not": {…}}

A path is dotted, starts at `id type source subject time data`, and goes through arrays by number. A scalar stands for
`eq`, an array for `in`. Rules follow JSON: `1` equals `1.0` but neither `"1"` nor `true`, and null is a value. Where
a path leads nowhere, only `exists: false`, `ne` and `not` hold.

Ordering (`gt gte lt lte`) compares numbers and strings that are plain decimals (`"10.50"`) as numbers. When the
rule's own value is any other string, it compares strings by code point, which orders RFC 3339 instants of one form. A
rule that cannot compare does not hold.
"""

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from hub.errors import Fault, Invalid
from hub.validation import pointer

# These bound what a filter can cost: it is checked on the event loop, for each event that matches the patterns.
MAX_DEPTH = 8
MAX_RULES = 100
MAX_STRING = 1_024
MAX_SEGMENTS = 16
MAX_VALUES = 1_000
ROOTS = ("id", "type", "source", "subject", "time", "data")

_DECIMAL = re.compile(r"-?[0-9]{1,60}(\.[0-9]{1,60})?")
_INDEX = re.compile(r"[0-9]{1,6}")
_SHOWN = 64
_MISSING: Any = object()

Test = Callable[[Any], str | None]
"""Gives why the rule does not hold for a value, or None when it holds."""
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    path: tuple[str, ...]
    label: str
    test: Test

    def check(self, event: Mapping[str, Any]) -> str | None:
        reason = self.test(_lookup(event, self.path))
        return reason and f"{self.label}: {reason}"


@dataclass(frozen=True, slots=True)
class _Any:
    alternatives: tuple["Filter", ...]

    def check(self, event: Mapping[str, Any]) -> str | None:
        if any(alternative.check(event) is None for alternative in self.alternatives):
            return None
        return f"any: none of {len(self.alternatives)} alternatives held"


@dataclass(frozen=True, slots=True)
class _Not:
    inner: "Filter"

    def check(self, event: Mapping[str, Any]) -> str | None:
        return "not: what must not hold did" if self.inner.check(event) is None else None


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter.

    Example:

        big = compile_filter({"data.total": {"gte": 100}})
        big.check({"data": {"total": "129.90"}}) is None  # True
        big.check({"data": {"total": 5}})  # "data.total gte 100: was below"
    """

    rules: tuple["_Rule | _Any | _Not", ...]

    def check(self, event: Mapping[str, Any]) -> str | None:
        """None when every rule holds for `{"id", "type", "source", "subject", "time", "data"}`; else the first that
        does not, such as `data.total gte 100: was below`. The reason quotes the rule, never the event."""
        for rule in self.rules:
            reason = rule.check(event)
            if reason is not None:
                return reason
        return None


def compile_filter(document: Any, *place: str | int) -> Filter:
    """Raises `Invalid` with a pointer, under `place` (by default `/filter`), to the first thing that is wrong."""
    return _Compiler().filter(document, place or ("filter",), 1)


class _Compiler:
    def __init__(self) -> None:
        self._count = 0

    def filter(self, document: Any, place: Place, depth: int) -> Filter:
        if not isinstance(document, Mapping):
            raise _invalid("must be an object of paths and rules", place)
        if depth > MAX_DEPTH:
            raise _invalid(f"is nested more than {MAX_DEPTH} deep", place)
        rules: list[_Rule | _Any | _Not] = []
        for name, value in document.items():
            here = (*place, name)
            if name == "any":
                rules.append(self._any(value, here, depth))
            elif name == "not":
                rules.append(_Not(self.filter(value, here, depth + 1)))
            else:
                rules.extend(self._rules(name, value, here))
        return Filter(tuple(rules))

    def _any(self, value: Any, place: Place, depth: int) -> _Any:
        if not isinstance(value, list) or not value:
            raise _invalid("must be an array of one or more filters", place)
        return _Any(tuple(self.filter(inner, (*place, index), depth + 1) for index, inner in enumerate(value)))

    def _rules(self, name: str, value: Any, place: Place) -> list[_Rule]:
        path = _path(name, place)
        if isinstance(value, list):
            return [self._rule(path, "in", value, place)]
        if not isinstance(value, dict):
            return [self._rule(path, "eq", value, place)]
        if not value:
            raise _invalid("must name at least one operator", place)
        return [self._rule(path, verb, operand, (*place, verb)) for verb, operand in value.items()]

    def _rule(self, path: tuple[str, ...], verb: str, operand: Any, place: Place) -> _Rule:
        self._count += 1
        if self._count > MAX_RULES:
            raise _invalid(f"is one of more than {MAX_RULES} rules", place)
        make = _OPERATORS.get(verb)
        if make is None:
            raise _invalid(f"is no operator; the operators are {' '.join(_OPERATORS)}", place)
        shown = json.dumps(operand, ensure_ascii=False)
        label = f"{'.'.join(path)} {verb} {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"
        return _Rule(path, label, make(operand, place))


def _path(name: str, place: Place) -> tuple[str, ...]:
    path = tuple(name.split("."))
    if path[0] not in ROOTS:
        raise _invalid(f"must start with one of {' '.join(ROOTS)}, or be `any` or `not`", place)
    if "" in path or len(path) > MAX_SEGMENTS or len(name) > MAX_STRING:
        raise _invalid(f"must be a dotted path of at most {MAX_SEGMENTS} segments, none empty", place)
    return path


def _lookup(event: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = event
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(part, _MISSING)
        elif isinstance(value, list) and _INDEX.fullmatch(part):
            value = value[int(part)] if int(part) < len(value) else _MISSING
        else:
            return _MISSING
    return value


def _invalid(detail: str, place: Place) -> Invalid:
    return Invalid("The filter is malformed.", errors=[Fault(detail, pointer(*place))])


def _scalar(operand: Any, place: Place) -> Any:
    if isinstance(operand, dict | list):
        raise _invalid("must be a string, a number, true, false or null", place)
    if isinstance(operand, str) and len(operand) > MAX_STRING:
        raise _invalid(f"must be at most {MAX_STRING} characters long", place)
    return operand


def _text(operand: Any, place: Place) -> str:
    if not isinstance(operand, str) or not operand:
        raise _invalid("must be a string, and not empty", place)
    return str(_scalar(operand, place))


def _same(value: Any, operand: Any) -> bool:
    # Python says that true equals 1; JSON does not.
    return isinstance(value, bool) is isinstance(operand, bool) and bool(value == operand)


def _number(value: Any) -> Decimal | int | None:
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
    return "was missing" if value is _MISSING else reason


def _eq(operand: Any, place: Place) -> Test:
    wanted = _scalar(operand, place)
    return lambda value: None if _same(value, wanted) else _what("differed", value)


def _ne(operand: Any, place: Place) -> Test:
    unwanted = _scalar(operand, place)
    return lambda value: "was equal" if _same(value, unwanted) else None


def _in(operand: Any, place: Place) -> Test:
    if not isinstance(operand, list) or not 0 < len(operand) <= MAX_VALUES:
        raise _invalid(f"must be an array of 1 to {MAX_VALUES} values", place)
    wanted = [_scalar(one, (*place, index)) for index, one in enumerate(operand)]
    return lambda value: None if any(_same(value, one) for one in wanted) else _what("was none of these", value)


def _order(holds: Callable[[Any, Any], bool], reason: str, operand: Any, place: Place) -> Test:
    number = _number(operand)
    if number is None and not isinstance(operand, str):
        raise _invalid("must be a number or a string", place)
    limit = _text(operand, place) if number is None else number
    comparable: Callable[[Any], Any] = _string if number is None else _number

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
            held = isinstance(value, list) and any(_same(one, wanted) for one in value)
        return None if held else _what("did not contain it", value)

    return test


def _exists(operand: Any, place: Place) -> Test:
    if not isinstance(operand, bool):
        raise _invalid("must be true or false", place)
    if operand:
        return lambda value: "was missing" if value is _MISSING else None
    return lambda value: None if value is _MISSING else "was there"


_OPERATORS: Mapping[str, Callable[[Any, Place], Test]] = {
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
