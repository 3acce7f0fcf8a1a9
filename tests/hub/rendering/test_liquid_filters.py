"""The hub's own template filters."""

from typing import Any

import pytest

from hub.rendering import Renderer
from tests.hub.rendering.conftest import seen

NBSP = "\N{NO-BREAK SPACE}"


def show(renderer: Renderer, expression: str, value: Any = None) -> str:
    return str(renderer.content("note", seen({"x": value}), {"plain": "{{ " + expression + " }}"})["plain"])


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [
        ("129.9", "EUR", "EUR 129.90"),
        ("1234567.5", "EUR", "EUR 1 234 567.50"),
        ("0.125", "USD", "USD 0.125"),
        ("100.000", "USD", "USD 100.00"),
        ("1E+2", "USD", "1E+2"),
        ("-5", "USD", "USD -5.00"),
        ("1500", "JPY", "JPY 1 500"),
        ("1.5", "KWD", "KWD 1.500"),
        (29.9, "EUR", "EUR 29.90"),
        (7, "EUR", "EUR 7.00"),
        ("12.5", "", "12.50"),
        ("a lot", "EUR", "a lot"),
        (None, "EUR", ""),
        (True, "EUR", "True"),
        ("9" * 31, "EUR", "9" * 31),
    ],
)
def test_money(renderer: Renderer, value: Any, currency: str, shown: str) -> None:
    assert show(renderer, f"data.x | money: '{currency}'", value).replace(NBSP, " ") == shown


def test_money_of_a_product_of_decimals_is_exact(renderer: Renderer) -> None:
    assert show(renderer, "data.x | times: 3 | money: 'EUR'", "14.95") == f"EUR{NBSP}44.85"


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        ("2026-11-23T12:05:09Z", "", "2026-11-23 12:05 UTC"),
        ("2026-11-23T01:05:00+02:00", "", "2026-11-22 23:05 UTC"),
        ("2026-11-23T12:05:09.123Z", "%T %H:%M:%S", "12:05:09 12:05:09"),
        ("2026-11-23", "", "2026-11-23"),
        ("2026-11-03", "%A, %-d %B %Y (%a %b %e, %d.%m.%y, %j)", "Tuesday, 3 November 2026 (Tue Nov 3, 03.11.26, 307)"),
        ("2026-11-23T00:30:00Z", "%I:%M %p %z", "12:30 AM +0000"),
        ("2026-11-23T13:30:00Z", "%-I %p 100%%", "1 PM 100%"),
        ("2026-11-23T12:00:00Z", "%s %F", "1795435200 2026-11-23"),
        ("2026-11-23", "%Q %q %1000000000d", "%Q %q %1000000000d"),
        ("2026-02-30", "", "2026-02-30"),
        ("yesterday", "%Y", "yesterday"),
        ("now", "%Y", "now"),
        (5, "%Y", "5"),
        (None, "%Y", ""),
        ("0001-01-01T00:00:00+14:00", "%Y", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_date(renderer: Renderer, value: Any, form: str, shown: str) -> None:
    assert show(renderer, f"data.x | date: '{form}'" if form else "data.x | date", value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://example.com/a?b=c&d#e", "https://example.com/a?b=c&d#e"),
        ("  HTTP://example.com  ", "HTTP://example.com"),
        ("https://example.com/ü x\"<>|'", "https://example.com/%C3%BC%20x%22%3C%3E%7C'"),
        ("https://example.com/%20", "https://example.com/%20"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//example.com", ""),
        ("https://", ""),
        ("java\nscript:https://x", ""),
        ("https://example.com/" + "x" * 3_000, ""),
        (5, ""),
        (None, ""),
    ],
)
def test_web_url_lets_only_the_web_through(renderer: Renderer, value: Any, shown: str) -> None:
    assert show(renderer, "data.x | web_url", value) == shown


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("data.x.list | join: ', '", '1, , true, {"a":1}'),
        ("data.x.text | join: '-'", "a<b>b</b>"),
        ("data.x.none | join: '-'", ""),
        ("data.x.dup | uniq | json", '[1,{"a":1},"1"]'),
        ("data.x.rows | uniq: 'k' | map: 'v' | json", '["first","third"]'),
        ("data.x.none | uniq | json", "[]"),
        ("data.x.text | strip_html", "ab"),
        ("data.x.text | replace: 'b', 'c'", "a<c>c</c>"),
        ("data.x.none | json", "null"),
        ("data.x.rows | where: 'k', 2 | map: 'v' | first", "third"),
        ("data.x.rows | sum: 'k'", "4"),
        ("'a,b' | split: ',' | reverse | join", "b a"),
        ("data.x.list.size", "4"),
    ],
)
def test_the_filters_of_liquid_work_here(renderer: Renderer, expression: str, shown: str) -> None:
    value = {
        "list": [1, None, True, {"a": 1}],
        "text": "a<b>b</b>",
        "dup": [1, {"a": 1}, 1, "1", {"a": 1}],
        "rows": [{"k": 1, "v": "first"}, {"k": 1, "v": "second"}, {"k": 2, "v": "third"}],
    }
    assert show(renderer, expression, value) == shown


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("data.x | newline_to_br", "a &lt;b&gt;<br>\nc"),
        ("data.x | escape", "a &lt;b&gt;\nc"),
        ("data.x | escape | escape", "a &lt;b&gt;\nc"),
        ("data.x | newline_to_br | upcase", "A &amp;LT;B&amp;GT;&lt;BR&gt;\nC"),
        ("'<i>'", "&lt;i&gt;"),
    ],
)
def test_in_html_nothing_is_escaped_twice_nor_left_unescaped(renderer: Renderer, expression: str, shown: str) -> None:
    content = renderer.content("note", seen({"x": "a <b>\nc"}), {"html": "{{ " + expression + " }}"})
    assert content["html"] == shown
