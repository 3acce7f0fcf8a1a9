"""What operators compare, and how."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.catalogue.subscriptions.filters.operators import OPERATORS


def check(rules: dict[str, Any], event: dict[str, Any]) -> str | None:
    """Why the one rule on `data.x` does not hold."""
    ((verb, operand),) = rules["data.x"].items() if isinstance(rules["data.x"], dict) else [("in", rules["data.x"])]
    return OPERATORS[verb](operand, ())(event["data"]["x"])


@pytest.mark.parametrize("value", ["1e5", "+1", " 1", "1.", ".5", "NaN", "Infinity", "१", "9" * 200, "", "0x1"])
def test_only_plain_decimals_are_compared_as_numbers(value: str) -> None:
    assert check({"data.x": {"gte": -1}}, {"data": {"x": value}}) == "could not be compared"


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
