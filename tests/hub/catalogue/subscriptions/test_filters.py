"""Filters: what holds, what is said when it does not, and what is refused."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.catalogue.subscriptions.filters import compile_filter
from hub.errors import Invalid

EVENT: dict[str, Any] = {
    "id": "evt_1",
    "type": "order.created",
    "source": "/shop",
    "subject": "orders/1001",
    "time": "2026-11-23T12:00:00Z",
    "data": {
        "total": "150.20",
        "weight": 2.5,
        "count": 3,
        "paid": True,
        "coupon": None,
        "currency": "EUR",
        "customer": {"email": "ada@example.com"},
        "tags": ["new", 7],
        "items": [{"sku": "A"}, {"sku": "B"}],
        "7": "seven",
    },
}


def check(rules: dict[str, Any], event: dict[str, Any] = EVENT) -> str | None:
    return compile_filter(rules).check(event)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"data.total": {"gte": 100}},
        {"data.total": {"gte": "150.2", "lt": 150.21}},
        {"data.weight": {"eq": 2.5, "gt": "2.49"}},
        {"data.count": 3.0},
        {"data.currency": ["USD", "EUR"]},
        {"data.customer.email": {"prefix": "ada@", "suffix": "@example.com", "contains": "@"}},
        {"data.tags": {"contains": 7}},
        {"data.items.1.sku": "B"},
        {"data.7": "seven"},
        {"data.coupon": None},
        {"data.coupon": {"exists": True}},
        {"data.voucher": {"exists": False}},
        {"data.voucher": {"ne": 1}},
        {"data.voucher.code": {"ne": None}},
        {"not": {"data.voucher": "x"}},
        {"any": [{"data.currency": "USD"}, {"data.paid": True}]},
        {"time": {"gte": "2026-11-23T00:00:00Z"}},
        {"type": {"prefix": "order."}, "subject": "orders/1001"},
    ],
)
def test_holds(rules: dict[str, Any]) -> None:
    assert check(rules) is None


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"data.total": {"gte": 1000}}, "data.total gte 1000: was below"),
        ({"data.total": {"lt": "9"}}, 'data.total lt "9": was not below'),
        ({"data.total": {"gt": "150.20"}}, 'data.total gt "150.20": was not above'),
        ({"data.currency": {"gte": 1}}, "data.currency gte 1: could not be compared"),
        ({"data.paid": {"gte": 1}}, "data.paid gte 1: could not be compared"),
        ({"data.paid": 1}, "data.paid eq 1: differed"),
        ({"data.count": True}, "data.count eq true: differed"),
        ({"data.count": "3"}, 'data.count eq "3": differed'),
        ({"data.currency": ["USD"]}, 'data.currency in ["USD"]: was none of these'),
        ({"data.currency": {"ne": "EUR"}}, 'data.currency ne "EUR": was equal'),
        ({"data.voucher": {"gte": 1}}, "data.voucher gte 1: was missing"),
        ({"data.voucher": {"exists": True}}, "data.voucher exists true: was missing"),
        ({"data.coupon": {"exists": False}}, "data.coupon exists false: was there"),
        ({"data.items.2.sku": "A"}, 'data.items.2.sku eq "A": was missing'),
        ({"data.customer.email": {"suffix": ".org"}}, 'data.customer.email suffix ".org": ended otherwise'),
        ({"data.count": {"prefix": "3"}}, 'data.count prefix "3": began otherwise'),
        ({"data.tags": {"contains": "7"}}, 'data.tags contains "7": did not contain it'),
        ({"any": [{"data.count": 1}, {"data.count": 2}]}, "any: none of 2 alternatives held"),
        ({"not": {"data.count": 3}}, "not: what must not hold did"),
        ({"data.count": 3, "data.paid": False, "data.total": {"lt": 1}}, "data.paid eq false: differed"),
    ],
)
def test_the_first_rule_that_fails_is_named_and_no_value_of_the_event(rules: dict[str, Any], reason: str) -> None:
    assert check(rules) == reason


@pytest.mark.parametrize(
    ("rules", "pointer"),
    [
        ([], "/filter"),
        ({"total": 1}, "/filter/total"),
        ({"data..x": 1}, "/filter/data..x"),
        ({"data/x.y": 1}, "/filter/data~1x.y"),
        ({"data.x": {}}, "/filter/data.x"),
        ({"data.x": {"gtt": 1}}, "/filter/data.x/gtt"),
        ({"data.x": {"gt": True}}, "/filter/data.x/gt"),
        ({"data.x": {"gt": None}}, "/filter/data.x/gt"),
        ({"data.x": {"eq": {"a": 1}}}, "/filter/data.x/eq"),
        ({"data.x": [1, [2]]}, "/filter/data.x/1"),
        ({"data.x": []}, "/filter/data.x"),
        ({"data.x": {"prefix": 1}}, "/filter/data.x/prefix"),
        ({"data.x": {"exists": 1}}, "/filter/data.x/exists"),
        ({"data.x": "y" * 1025}, "/filter/data.x"),
        ({"any": {}}, "/filter/any"),
        ({"any": []}, "/filter/any"),
        ({"any": [{"data.x": 1}, {"x": 1}]}, "/filter/any/1/x"),
        ({"not": [1]}, "/filter/not"),
        ({"data" + ".x" * 16: 1}, "/filter/" + ("data" + ".x" * 16)),
    ],
)
def test_a_malformed_filter_is_refused_with_a_pointer(rules: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_filter(rules)
    assert [fault.pointer for fault in caught.value.errors] == [pointer]


def test_filters_nest_eight_deep_and_no_deeper() -> None:
    rules: dict[str, Any] = {"data.x": 1}
    for _ in range(7):
        rules = {"not": rules}
    compile_filter(rules)
    with pytest.raises(Invalid, match="malformed"):
        compile_filter({"any": [rules]})


def test_a_filter_has_a_hundred_rules_at_most() -> None:
    compile_filter({f"data.x{number}": number for number in range(100)})
    with pytest.raises(Invalid):
        compile_filter({"any": [{f"data.x{number}": number} for number in range(101)]})


@pytest.mark.parametrize("value", ["1e5", "+1", " 1", "1.", ".5", "NaN", "Infinity", "१", "9" * 200, "", "0x1"])
def test_only_plain_decimals_are_compared_as_numbers(value: str) -> None:
    assert check({"data.x": {"gte": -1}}, {"data": {"x": value}}) == "data.x gte -1: could not be compared"


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["", "a", "ab", "1", "1.0", "10", "-2.50"])
)
operands = st.one_of(st.integers(-5, 5), st.sampled_from(["a", "ab", "1.0", "10", "-2.50"]))


def number_of(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return Decimal(value)
    except ArithmeticError:
        return None


def ordered(value: Any, operand: Any, verb: str) -> bool:
    left, right = number_of(value), number_of(operand)
    if right is None:
        if not isinstance(value, str):
            return False
        compared: Any = (value > operand) - (value < operand)
    elif left is None:
        return False
    else:
        compared = (left > right) - (left < right)
    return bool({"gt": compared > 0, "gte": compared >= 0, "lt": compared < 0, "lte": compared <= 0}[verb])


@given(scalars, operands, st.sampled_from(["gt", "gte", "lt", "lte"]))
def test_ordering_agrees_with_an_oracle(value: Any, operand: Any, verb: str) -> None:
    assert (check({"data.x": {verb: operand}}, {"data": {"x": value}}) is None) is ordered(value, operand, verb)


@given(scalars, st.lists(scalars, min_size=1, max_size=4))
def test_in_is_any_of_eq_and_ne_is_not_eq(value: Any, wanted: list[Any]) -> None:
    event = {"data": {"x": value}}
    equal = [check({"data.x": {"eq": one}}, event) is None for one in wanted]
    assert (check({"data.x": wanted}, event) is None) is any(equal)
    assert [check({"data.x": {"ne": one}}, event) is not None for one in wanted] == equal


@given(
    st.recursive(
        st.none() | st.text("x.é~/", max_size=3), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_is_either_a_filter_or_refused(document: Any) -> None:
    with suppress(Invalid):
        compile_filter(document).check(EVENT)
