"""Paths lead to one value, or to one for each element."""

from typing import Any

import pytest

from hub.catalogue.subscriptions.filters.paths import (
    ANY,
    MISSING,
    Path,
    parse_path,
    plain_path,
    value_at,
    values_at,
)

EVENT = {"data": {"items": [{"sku": "A"}, {}, 5], "a.b": {"c": [1, [2, 3]]}, "empty": []}}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("type", ("type",)),
        ("data.items.0.sku", ("data", "items", "0", "sku")),
        ("data.items[0].sku", ("data", "items", 0, "sku")),
        ("data.items[].sku", ("data", "items", ANY, "sku")),
        ('data["*"]', ("data", "*")),
        ("data[*][]", ("data", ANY, ANY)),
        ('data["a.b"].c', ("data", "a.b", "c")),
        ('data["\\u00e9\\""]', ("data", 'é"')),
        ("data.schön x-1", ("data", "schön x-1")),
    ],
)
def test_a_path_has_these_parts(text: str, path: Path) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "data.",
        "data..x",
        "data.items.*.sku",
        "total",
        "data[",
        "data[x]",
        "data['x']",
        'data["x"',
        "data]",
        "data.total > 5",
        "data.total>=5",
        "data.currency=='EUR'",
        'data["\\x"]',
        "x" * 2_000,
    ],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must (start|have|name|be a path such as)"):
        parse_path(text)


def test_a_plain_path_is_names_between_dots() -> None:
    assert plain_path("data.a[0].b") == ("data", "a[0]", "b")
    with pytest.raises(ValueError, match="none empty"):
        plain_path("data..x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data.items.0.sku", "A"),
        ("data.items[0].sku", "A"),
        ("data.items[1].sku", MISSING),
        ("data.items[9]", MISSING),
        ("data.items.x", MISSING),
        ('data["a.b"].c.1.0', 2),
        ("data.items.2.sku", MISSING),
    ],
)
def test_one_value_stands_at_a_path(text: str, value: Any) -> None:
    assert value_at(EVENT, parse_path(text)) == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("data.items[].sku", ["A", MISSING, MISSING]),
        ('data["a.b"].c[]', [1, [2, 3]]),
        ('data["a.b"].c[][]', [MISSING, 2, 3]),
        ("data.empty[].x", [MISSING]),
        ("data.nothing[]", [MISSING]),
    ],
)
def test_a_path_through_arrays_leads_to_a_value_for_each_element(text: str, values: list[Any]) -> None:
    assert list(values_at(EVENT, parse_path(text))) == values
