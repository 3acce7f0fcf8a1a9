"""From the JSON of a filter to tests over events."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Any

from hub.catalogue.subscriptions.filters.operators import OPERATORS, Place, Test, malformed
from hub.catalogue.subscriptions.filters.paths import (
    ANY,
    MAX_ELEMENTS,
    MISSING,
    Path,
    parse_path,
    plain_path,
    value_at,
    values_at,
)

# These bound what a filter can cost: it is checked on the event loop, for each event that matches the patterns.
MAX_DEPTH = 8
MAX_RULES = 100
_SHOWN = 64
_REASONS = 3
_SHOWN_REASONS = 1_000


@dataclass(frozen=True, slots=True)
class Rule:
    """One operator on one path. `label` is the rule as it is shown; `place` leads to it in the filter's JSON."""

    path: Path
    verb: str
    operand: Any
    test: Test
    label: str
    place: Place
    scans: int = 0
    """Tests that it makes of each element or each part of a text, and not once."""

    def holds(self, event: Mapping[str, Any]) -> bool:
        return self.test(value_at(event, self.path)) is None

    def check(self, event: Mapping[str, Any]) -> str | None:
        reason = self.test(value_at(event, self.path))
        return reason and f"{self.label}: {reason}"


@dataclass(frozen=True, slots=True)
class ElementRules:
    """All operators on one path with `[]`: they hold when some element passes all of them."""

    path: Path
    rules: tuple[Rule, ...]

    def holds(self, event: Mapping[str, Any]) -> bool:
        tests = [rule.test for rule in self.rules]
        return any(all(test(value) is None for test in tests) for value in values_at(event, self.path))

    def check(self, event: Mapping[str, Any]) -> str | None:
        if self.holds(event):
            return None
        return f"{', '.join(rule.label for rule in self.rules)}: held for no element"


@dataclass(frozen=True, slots=True)
class AnyOf:
    alternatives: tuple["Filter", ...]
    place: Place

    def holds(self, event: Mapping[str, Any]) -> bool:
        return any(alternative.holds(event) for alternative in self.alternatives)

    def check(self, event: Mapping[str, Any]) -> str | None:
        reasons = []
        for alternative in self.alternatives:
            reason = alternative.check(event)
            if reason is None:
                return None
            reasons.append(reason)
        more = f"; and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
        return f"any: none held ({'; '.join(reasons[:_REASONS])[:_SHOWN_REASONS]}{more})"


@dataclass(frozen=True, slots=True)
class Not:
    inner: "Filter"
    place: Place

    def holds(self, event: Mapping[str, Any]) -> bool:
        return not self.inner.holds(event)

    def check(self, event: Mapping[str, Any]) -> str | None:
        return None if self.holds(event) else f"not: {self.inner.label} held"


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter.

    Example:

        big = compile_filter({"data.total": {"gte": 100}})
        big.holds({"data": {"total": "129.90"}})  # True
        big.check({"data": {"total": 5}})  # "data.total gte 100: was below"
    """

    rules: tuple[Rule | ElementRules | AnyOf | Not, ...]
    tests: int = 0
    """How many rules there are in all."""
    scans: int = 0
    """Tests that are made of each element or of each part of a text: what they cost grows with the size of an event."""

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Whether every rule holds for `{"id", "type", "source", "subject", "time", "data"}`."""
        # Not by `all`: a generator for each event costs more than most rules.
        for rule in self.rules:  # noqa: SIM110
            if not rule.holds(event):
                return False
        return True

    def check(self, event: Mapping[str, Any]) -> str | None:
        """None when every rule holds; otherwise the first that does not, such as `data.total gte 100: was below`. The
        reason quotes the rule, never the event."""
        return next((reason for rule in self.rules if (reason := rule.check(event)) is not None), None)

    @property
    def label(self) -> str:
        """Its rules as they are shown in the reason of a `not`."""
        labels = [_label(rule) for rule in self.rules]
        more = f" and {len(labels) - _REASONS} more" if len(labels) > _REASONS else ""
        return ", ".join(labels[:_REASONS])[:_SHOWN_REASONS] + more


def _label(rule: Rule | ElementRules | AnyOf | Not) -> str:
    match rule:
        case Rule():
            return rule.label
        case ElementRules():
            return ", ".join(one.label for one in rule.rules)
        case AnyOf():
            return "any"
        case Not():
            return "not"


def _cost(rule: Rule | ElementRules | AnyOf | Not) -> tuple[int, int]:
    """`Filter.tests` and `Filter.scans` of a rule."""
    match rule:
        case Rule():
            return 1, rule.scans
        case ElementRules():
            return len(rule.rules), sum(1 + one.scans for one in rule.rules)
        case AnyOf():
            return sum(one.tests for one in rule.alternatives), sum(one.scans for one in rule.alternatives)
        case Not():
            return rule.inner.tests, rule.inner.scans


def compile_filter(document: Any, *place: str | int, stored: bool = False) -> Filter:
    """Raises `Invalid` with a pointer, under `place` (by default `/filter`), to the first thing that is wrong.

    In a `stored` filter, brackets that are not part of a path's grammar stand for themselves: releases before 0.3 took
    every character but the dot.
    """
    return _Compiler(_stored_path if stored else parse_path, count(1)).filter(document, place or ("filter",), 1)


def _stored_path(text: str) -> Path:
    try:
        return parse_path(text)
    except ValueError:
        return plain_path(text)


def _member_path(parse: Callable[[str], Path], text: str) -> Path:
    """A path that starts in an element of an array."""
    return parse(f"data{text}" if text.startswith("[") else f"data.{text}")[1:]


class _Compiler:
    def __init__(self, parse: Callable[[str], Path], numbers: Iterator[int]) -> None:
        self._parse = parse
        self._numbers = numbers
        """Counts the rules, those inside of `contains` among them."""

    def filter(self, document: Any, place: Place, depth: int) -> Filter:
        if not isinstance(document, Mapping):
            raise malformed("must be an object of paths and rules", place)
        if depth > MAX_DEPTH:
            raise malformed(f"is nested more than {MAX_DEPTH} deep", place)
        rules: list[Rule | ElementRules | AnyOf | Not] = []
        for name, value in document.items():
            here = (*place, name)
            if name == "any":
                rules.append(self._any(value, here, depth))
            elif name == "not":
                rules.append(Not(self.filter(value, here, depth + 1), here))
            else:
                rules.extend(self._rules(name, value, here, depth))
        costs = [_cost(rule) for rule in rules]
        return Filter(tuple(rules), sum(tests for tests, _ in costs), sum(scans for _, scans in costs))

    def _any(self, value: Any, place: Place, depth: int) -> AnyOf:
        if not isinstance(value, list) or not value:
            raise malformed("must be an array of one or more filters", place)
        alternatives = (self.filter(inner, (*place, index), depth + 1) for index, inner in enumerate(value))
        return AnyOf(tuple(alternatives), place)

    def _rules(self, name: str, value: Any, place: Place, depth: int) -> list[Rule] | list[ElementRules]:
        try:
            path = self._parse(name)
        except ValueError as wrong:
            raise malformed(str(wrong), place) from None
        if isinstance(value, list):
            rules = [self._rule(name, path, "in", value, place, depth)]
        elif not isinstance(value, dict):
            rules = [self._rule(name, path, "eq", value, place, depth)]
        elif not value:
            raise malformed("must name at least one operator", place)
        else:
            rules = [self._rule(name, path, verb, operand, (*place, verb), depth) for verb, operand in value.items()]
        return [ElementRules(path, tuple(rules))] if ANY in path else rules

    def _rule(self, name: str, path: Path, verb: str, operand: Any, place: Place, depth: int) -> Rule:
        if next(self._numbers) > MAX_RULES:
            raise malformed(f"is one of more than {MAX_RULES} rules", place)
        make = OPERATORS.get(verb)
        if make is None:
            raise malformed(f"is no operator; the operators are {' '.join(OPERATORS)}", place)
        is_element = verb == "contains" and isinstance(operand, Mapping)
        test, inner = self._has_element(operand, place, depth) if is_element else (make(operand, place), 0)
        shown = json.dumps(operand, ensure_ascii=False)
        label = f"{name} {verb} {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"
        return Rule(path, verb, operand, test, label, place, scans=inner + (verb == "contains"))

    def _has_element(self, operand: Mapping[str, Any], place: Place, depth: int) -> tuple[Test, int]:
        """A test for an array in which one object passes the whole filter, and its tests of each element."""
        if not operand:
            raise malformed("must name at least one member", place)
        inner = _Compiler(partial(_member_path, self._parse), self._numbers).filter(operand, place, depth + 1)

        def test(value: Any) -> str | None:
            elements = islice(value, MAX_ELEMENTS) if isinstance(value, list) else ()
            held = any(isinstance(element, dict) and inner.holds(element) for element in elements)
            return None if held else "was missing" if value is MISSING else "did not contain it"

        return test, inner.tests + inner.scans
