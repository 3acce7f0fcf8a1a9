"""Filters: what holds, what is said when it does not, and what is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.catalogue.subscriptions.filters import compile_filter
from hub.catalogue.subscriptions.filters.paths import MAX_ELEMENTS
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
        "items": [{"sku": "A", "price": "10"}, {"sku": "B", "price": 25}, {"sku": "D", "price": 40}],
        "parcels": [{"lines": []}, {}, {"lines": [{"sku": "C"}]}],
        "price.usd": "5.50",
        'odd " [name]': True,
        "7": "seven",
    },
}


ANY_OF_FIVE = (
    "any: none held (data.count eq 4: differed; data.count eq 5: differed; data.count eq 6: differed; and 2 more)"
)


def check(rules: dict[str, Any], event: dict[str, Any] = EVENT) -> str | None:
    """The reason, which stands for whether it holds."""
    compiled = compile_filter(rules)
    reason = compiled.check(event)
    assert compiled.holds(event) is (reason is None)
    return reason


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
        {"data.items[1].sku": "B"},
        {"data.items[].sku": "B"},
        {"data.items[*].sku": {"in": ["A", "Z"]}},
        {"data.items[].price": {"gte": 20, "lt": 30}},
        {"data.items[].sku": {"ne": "A"}},
        {"data.items[].coupon": {"exists": False}},
        {"data.parcels[].lines[].sku": "C"},
        {"data.items": {"contains": {"sku": "B", "price": {"gte": 25}}}},
        {"data.parcels": {"contains": {"lines[].sku": "C", "lines": {"contains": {"sku": "C"}}}}},
        {"data.items": {"contains": {"any": [{"sku": "Z"}, {"price": "10"}], '["sku"]': ["A"]}}},
        {"data.tags[]": 7},
        {"data.nothing[].sku": {"exists": False}},
        {"not": {"data.items[].sku": "Z"}},
        {'data["price.usd"]': {"gte": 5}},
        {'data["odd \\" [name]"]': True},
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
        ({"data.items.9.sku": "A"}, 'data.items.9.sku eq "A": was missing'),
        ({"data.customer.email": {"suffix": ".org"}}, 'data.customer.email suffix ".org": ended otherwise'),
        ({"data.count": {"prefix": "3"}}, 'data.count prefix "3": began otherwise'),
        ({"data.tags": {"contains": "7"}}, 'data.tags contains "7": did not contain it'),
        (
            {"any": [{"data.count": 1}, {"data.count": 2}]},
            "any: none held (data.count eq 1: differed; data.count eq 2: differed)",
        ),
        ({"not": {"data.count": 3}}, "not: data.count eq 3 held"),
        ({"not": {"data.items[].sku": "A", "any": [{"data.count": 3}]}}, 'not: data.items[].sku eq "A", any held'),
        ({"any": [{"data.count": n} for n in range(4, 9)]}, ANY_OF_FIVE),
        (
            {"data.items": {"contains": {"sku": "A", "price": 25}}},
            'data.items contains {"sku": "A", "price": 25}: did not contain it',
        ),
        ({"data.tags": {"contains": {"sku": {"ne": 1}}}}, 'data.tags contains {"sku": {"ne": 1}}: did not contain it'),
        ({"data.none": {"contains": {"sku": "A"}}}, 'data.none contains {"sku": "A"}: was missing'),
        ({"data.items[].sku": "Z"}, 'data.items[].sku eq "Z": held for no element'),
        (
            {"data.items[].price": {"gt": 10, "lt": 25}},
            "data.items[].price gt 10, data.items[].price lt 25: held for no element",
        ),
        ({"data.customer[].email": "x"}, 'data.customer[].email eq "x": held for no element'),
        ({"data.items[3].sku": "A"}, 'data.items[3].sku eq "A": was missing'),
        ({'data["price.usd"]': 5}, 'data["price.usd"] eq 5: differed'),
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
        ({"": 1}, "/filter/"),
        ({"data.items[": 1}, "/filter/data.items["),
        ({"data.items[sku]": 1}, "/filter/data.items[sku]"),
        ({"data['price.usd']": 1}, "/filter/data['price.usd']"),
        ({'data["x"]y': 1}, '/filter/data["x"]y'),
        ({"[]": 1}, "/filter/[]"),
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
        ({"data.x": {"contains": {}}}, "/filter/data.x/contains"),
        ({"data.x": {"contains": {"a..b": 1}}}, "/filter/data.x/contains/a..b"),
        ({"data.x": {"contains": {"a": {"gtt": 1}}}}, "/filter/data.x/contains/a/gtt"),
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


def test_a_stored_filter_is_read_as_it_was_written_before_brackets_meant_anything() -> None:
    event = {"data": {"a[b": 1, "x]": 2}}
    assert compile_filter({"data.a[b": 1, "data.x]": 2}, stored=True).check(event) is None


def test_no_more_elements_are_looked_at_than_the_limit() -> None:
    many = {"data": {"items": [{"sku": "A"}] * MAX_ELEMENTS + [{"sku": "B"}]}}
    assert check({"data.items[].sku": "A"}, many) is None
    assert check({"data.items[].sku": "B"}, many) is not None


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
    with pytest.raises(Invalid):
        compile_filter({"data.x": {"contains": {f"x{number}": number for number in range(100)}}})


@given(
    st.recursive(
        st.none() | st.text("x.é~/", max_size=3), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_is_either_a_filter_or_refused(document: Any) -> None:
    with suppress(Invalid):
        compile_filter(document).check(EVENT)
