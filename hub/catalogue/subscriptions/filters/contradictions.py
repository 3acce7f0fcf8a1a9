"""Filters that can never match, which are surely mistakes: they are refused when they are written.

Each path is looked at by itself: which kinds of values its rules leave, and whether one value can pass all of them.
What cannot be decided so counts as possible.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

from hub.catalogue.subscriptions.filters.compiling import AnyOf, ElementRules, Filter, Not, Rule
from hub.catalogue.subscriptions.filters.operators import OPERATORS, number_of
from hub.catalogue.subscriptions.filters.paths import MISSING, Path
from hub.errors import Fault, Invalid
from hub.validation import pointer

Kinds = frozenset[str]

_MISSING: Kinds = frozenset({"missing"})
_TEXTS: Kinds = frozenset({"decimal", "text"})
_NUMBERS: Kinds = frozenset({"number", "decimal"})
_VALUES: Kinds = _TEXTS | _NUMBERS | frozenset({"bool", "null", "array", "object"})
_ALL = _VALUES | _MISSING
_ROOTS: dict[object, Kinds] = {
    "id": _TEXTS,
    "type": _TEXTS,
    "source": _TEXTS,
    "subject": _TEXTS | {"null"},
    "time": frozenset({"text"}),
    "data": _VALUES,
}
"""What an event has at the beginning of a path. An instant is never a decimal."""
MAX_PATTERNS = 20
_SHOWN = 1_000
_PART_OF_DECIMAL = re.compile(r"-?[0-9]*\.?[0-9]*")
_ORDERS = frozenset({"gt", "gte", "lt", "lte"})


def refuse_contradiction(found: Filter, patterns: Sequence[str]) -> None:
    """Raises `Invalid`, with a pointer under `/filter`, for a filter that holds for no event of these types."""
    # Each pattern costs a check of the whole filter, so many of them are not looked at.
    known = [[*_subscribed(pattern)] for pattern in patterns] if len(patterns) <= MAX_PATTERNS else [[]]
    first: Fault | None = None
    for above in known:
        fault = _contradiction(found, above)
        if fault is None:
            return
        first = first or fault
    if first is not None:
        raise Invalid("The filter can never match.", errors=[first])


def _subscribed(pattern: str) -> Iterator[Rule]:
    """What a pattern says of the type, as a rule."""
    if pattern != "*":
        verb, operand = ("prefix", pattern[:-1]) if pattern.endswith("*") else ("eq", pattern)
        yield Rule(("type",), verb, operand, OPERATORS[verb](operand, ()), f"event_types {pattern}", ())


def _contradiction(found: Filter, above: Sequence[Rule]) -> Fault | None:
    """Why the filter cannot hold where the rules `above` hold as well; None where it may."""
    rules = [*above, *(rule for rule in found.rules if isinstance(rule, Rule)), *_negated(found)]
    groups = [*_by_path(rules), *(rule.rules for rule in found.rules if isinstance(rule, ElementRules))]
    for group in groups:
        if not _is_possible(group):
            return _fault(group)
    if fault := _scalar_with_members(groups):
        return fault
    for rule in found.rules:
        if isinstance(rule, Not) and not rule.inner.rules:
            return Fault("must not be empty: an empty filter always holds", pointer(*rule.place))
        if isinstance(rule, AnyOf):
            faults = [_contradiction(alternative, rules) for alternative in rule.alternatives]
            if None not in faults:
                return faults[0]
    return None


def _negated(found: Filter) -> Iterator[Rule]:
    """Each `not` of a single rule as a rule of its path."""
    for rule in found.rules:
        match rule:
            case Not(inner=Filter(rules=(Rule() as inner,)), place=place):
                yield Rule(inner.path, "not", None, _opposite(inner), f"not {inner.label}", place)


def _opposite(rule: Rule) -> Callable[[Any], str | None]:
    return lambda value: "held" if rule.test(value) is None else None


def _by_path(rules: Iterable[Rule]) -> Iterable[list[Rule]]:
    groups: dict[Path, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(rule.path, []).append(rule)
    return groups.values()


def _fault(group: Sequence[Rule]) -> Fault:
    written = [rule for rule in group if rule.place]
    labels = "; ".join(rule.label for rule in group)
    return Fault(f"no value can fulfil: {labels}"[:_SHOWN], pointer(*written[-1].place))


def _scalar_with_members(groups: Sequence[Sequence[Rule]]) -> Fault | None:
    """A fault where one rule asks for a value at a path and another for a member of that value."""
    scalars = {group[0].path: group for group in groups if not _kinds(group) & {"array", "object"}}
    for group in groups:
        path = group[0].path
        outer = next((scalars[path[:end]] for end in range(1, len(path)) if path[:end] in scalars), None)
        if outer is not None and "missing" not in _kinds(group):
            return _fault([*outer, *group])
    return None


def _is_possible(rules: Sequence[Rule]) -> bool:
    """Whether one value may pass all these rules of one path."""
    kinds = _kinds(rules)
    named = next((rule for rule in rules if rule.verb in {"eq", "in"}), None)
    if named is not None:
        values = named.operand if named.verb == "in" else [named.operand]
        return any(_kind(value) in kinds and _passes(value, rules) for value in values)
    if not kinds:
        return False
    if kinds == _MISSING:
        return _passes(MISSING, rules)
    if kinds <= _NUMBERS:
        return _numbers_are_possible(rules)
    return not kinds <= _TEXTS or _texts_are_possible(rules)


def _passes(value: Any, rules: Iterable[Rule]) -> bool:
    return all(rule.test(value) is None for rule in rules)


def _kinds(rules: Sequence[Rule]) -> Kinds:
    """The kinds of values that all these rules of one path leave."""
    path = rules[0].path
    at_path = _ROOTS[path[0]] if len(path) == 1 else _ALL if path[0] == "data" else _MISSING
    return reduce(frozenset.__and__, (_kinds_of(rule) for rule in rules), at_path)


def _kinds_of(rule: Rule) -> Kinds:
    match rule.verb:
        case "eq":
            return frozenset({_kind(rule.operand)})
        case "in":
            return frozenset(map(_kind, rule.operand))
        case "gt" | "gte" | "lt" | "lte":
            return _TEXTS if number_of(rule.operand) is None else _NUMBERS
        case "prefix" | "suffix":
            return _TEXTS if _PART_OF_DECIMAL.fullmatch(rule.operand) else frozenset({"text"})
        case "contains":
            return frozenset({"array"}) | (_TEXTS if isinstance(rule.operand, str) else frozenset())
        case "exists":
            return _VALUES if rule.operand else _MISSING
        case _:
            return _ALL


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case str():
            return "text" if number_of(value) is None else "decimal"
        case _:
            return "number"


def _numbers_are_possible(rules: Sequence[Rule]) -> bool:
    bounds = [(rule.verb, bound) for rule in rules if (bound := _bound(rule)) is not None]
    # Of two equal bounds, the one that excludes itself counts.
    lower = max(((bound, verb == "gt") for verb, bound in bounds if verb in {"gt", "gte"}), default=None)
    upper = min(((bound, verb == "lte") for verb, bound in bounds if verb in {"lt", "lte"}), default=None)
    if lower is None or upper is None:
        return True
    return lower[0] < upper[0] or (lower[0] == upper[0] and not lower[1] and upper[1])


def _bound(rule: Rule) -> Decimal | int | None:
    return number_of(rule.operand) if rule.verb in _ORDERS else None


def _texts_are_possible(rules: Sequence[Rule]) -> bool:
    """Whether the least text over all lower bounds is under all upper ones, and the affixes agree."""
    prefixes = [rule.operand for rule in rules if rule.verb == "prefix"]
    suffixes = [rule.operand for rule in rules if rule.verb == "suffix"]
    # The text that follows another at once is that text with the least character behind it.
    lower = [rule.operand + "\0" * (rule.verb == "gt") for rule in rules if rule.verb in {"gt", "gte"}]
    upper = [rule for rule in rules if rule.verb in {"lt", "lte"}]
    least = max([*lower, *prefixes], default="")
    longest, longest_end = max(prefixes, key=len, default=""), max(suffixes, key=len, default="")
    return (
        all(longest.startswith(prefix) for prefix in prefixes)
        and all(longest_end.endswith(suffix) for suffix in suffixes)
        and least.startswith(longest)
        and all(rule.test(least) is None for rule in upper)
    )
