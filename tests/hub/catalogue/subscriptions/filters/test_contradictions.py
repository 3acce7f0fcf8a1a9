"""Filters that can never match are refused, and no others."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from hub.catalogue.subscriptions.filters import compile_filter, refuse_contradiction
from hub.errors import Invalid


def pointer_of(rules: dict[str, Any], *patterns: str) -> str | None:
    """Where the filter contradicts itself; None when it is taken."""
    compiled = compile_filter(rules)
    try:
        refuse_contradiction(compiled, patterns or ("*",))
    except Invalid as refused:
        (fault,) = refused.errors
        return fault.pointer
    return None


@pytest.mark.parametrize(
    ("rules", "pointer"),
    [
        ({"data.x": {"gte": 10, "lt": 10}}, "/filter/data.x/lt"),
        ({"data.x": {"gt": 10, "lte": "10.0"}}, "/filter/data.x/lte"),
        ({"data.x": {"gt": "b", "lte": "b"}}, "/filter/data.x/lte"),
        ({"data.x": {"gte": "2026-02-01T00:00:00Z", "lt": "2026-01-01T00:00:00Z"}}, "/filter/data.x/lt"),
        ({"data.x": {"eq": 1, "gt": 1}}, "/filter/data.x/gt"),
        ({"data.x": {"in": ["a", "b"], "ne": "a", "eq": "c"}}, "/filter/data.x/eq"),
        ({"data.x": {"eq": 1, "ne": 1}}, "/filter/data.x/ne"),
        ({"data.x": {"exists": False, "gte": 1}}, "/filter/data.x/gte"),
        ({"data.x": {"eq": None, "prefix": "a"}}, "/filter/data.x/prefix"),
        ({"data.x": {"gte": 5, "prefix": "a"}}, "/filter/data.x/prefix"),
        ({"data.x": {"contains": {"y": 1}, "prefix": "a"}}, "/filter/data.x/prefix"),
        ({"data.x": {"contains": 5, "suffix": "a"}}, "/filter/data.x/suffix"),
        ({"data.x": {"prefix": "ab", "gte": "ac"}}, "/filter/data.x/gte"),
        ({"data.x": {"prefix": "b", "lt": "b"}}, "/filter/data.x/lt"),
        ({"data.x": "a", "data.x.y": 1}, "/filter/data.x.y"),
        ({"data.x": {"exists": False}, "data.x[].y": 1}, "/filter/data.x[].y"),
        ({"data.x[].y": {"gt": 2, "lt": 1}}, "/filter/data.x[].y/lt"),
        ({"data.x": 1, "not": {"data.x": 1}}, "/filter/not"),
        ({"data.x": 1, 'data["x"]': 2}, '/filter/data["x"]'),
        ({"not": {}}, "/filter/not"),
        ({"data.x": 1, "any": [{"data.x": 2}, {"data.x": 3}]}, "/filter/any/0/data.x"),
        ({"any": [{"any": [{"time": None}]}]}, "/filter/any/0/any/0/time"),
        ({"time": {"gte": 5}}, "/filter/time/gte"),
        ({"id": None}, "/filter/id"),
        ({"id": {"exists": False}}, "/filter/id/exists"),
        ({"subject": 5}, "/filter/subject"),
        ({"subject.name": "x"}, "/filter/subject.name"),
        ({"data": {"exists": False}}, "/filter/data/exists"),
        ({"type": "user.deleted"}, "/filter/type"),
        ({"type": {"prefix": "user."}}, "/filter/type/prefix"),
        ({"any": [{"type": "user.deleted"}, {"type": {"lt": "o"}}]}, "/filter/any/0/type"),
    ],
)
def test_a_filter_that_can_never_match_is_refused_where_it_contradicts_itself(
    rules: dict[str, Any], pointer: str
) -> None:
    assert pointer_of(rules, "order.*") == pointer


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"data.x": {"gte": 10, "lte": 10}},
        {"data.x": {"gte": "10", "prefix": "1"}},
        {"data.x": {"gte": "b", "lt": "c", "prefix": "bb", "suffix": "z", "contains": "q"}},
        {"data.x": {"ne": 1, "exists": False}},
        {"data.x": {"exists": True}, "data.x.y": {"exists": False}},
        {"data.x": {"contains": "a"}, "data.x[]": "b"},
        {"data.x": 1, "any": [{"data.x": 2}, {"data.y": 3}]},
        {"data.x[].y": 1, "data.x[*].y": 2},
        {"not": {"data.x": 1, "data.y": 2}, "data.x": 1},
        {"not": {"data.x": {"gt": 1, "lt": 1}}},
        {"subject": None},
        {"time": {"gte": "2026-01-01T00:00:00Z"}},
        {"type": ["order.paid", "user.deleted"]},
        {"id": {"prefix": "evt_"}, "source": {"contains": "shop"}},
    ],
)
def test_a_filter_that_may_match_is_taken(rules: dict[str, Any]) -> None:
    assert pointer_of(rules, "order.*") is None


def test_one_of_the_event_types_is_enough() -> None:
    assert pointer_of({"type": {"suffix": ".paid"}}, "user.deleted", "order.paid") is None
    assert pointer_of({"type": {"suffix": ".paid"}}, "user.deleted", "order.created") == "/filter/type/suffix"
    assert pointer_of({"type": {"prefix": "user."}}, "order.*", "*") is None


def test_what_contradicts_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        refuse_contradiction(compile_filter({"data.x": {"gt": 5, "lt": 2}}), ("*",))
    assert caught.value.errors[0].detail == "no value can fulfil: data.x gt 5; data.x lt 2"


values: st.SearchStrategy[Any] = st.sampled_from([None, True, 1, 2, "", "1", "2", "a", "ab", "b"])
operators = st.dictionaries(
    st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "prefix", "suffix", "contains", "exists"]),
    values,
    max_size=3,
)
operators |= st.fixed_dictionaries({"in": st.lists(values, max_size=2)})
paths = st.sampled_from(["data.x", "data.x[]", "data.x.y", "type", "subject"])
filters = st.recursive(
    st.dictionaries(paths, operators | values, max_size=2),
    lambda inner: st.builds(
        lambda rules, more: {**rules, **more},
        st.dictionaries(paths, operators, max_size=1),
        st.fixed_dictionaries({"any": st.lists(inner, max_size=2)}) | st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=4,
)
WORLD = [
    {"id": "evt", "type": type_, "source": "s", "subject": subject, "time": "2026-01-01T00:00:00Z", "data": data}
    for type_, subject in product(["a", "ab", "1"], [None, "a", "1", "2"])
    for data in (
        *(
            {"x": value}
            for value in (None, True, 0, 1, 1.5, 2, 3, "", "0", "1", "1.5", "2", "a", "aa", "ab", "b", "ba")
        ),
        *({"x": [value]} for value in (None, True, 1, 2, "1", "a", "ab")),
        *({"x": {"y": value}} for value in (None, True, 1, 2, "1", "a", "ab")),
        {},
        [],
    )
]


@given(filters)
def test_no_event_passes_a_filter_that_is_refused(rules: dict[str, Any]) -> None:
    try:
        compiled = compile_filter(rules)
    except Invalid:
        reject()
    if pointer_of(rules) is not None:
        assert not any(compiled.holds(event) for event in WORLD)
