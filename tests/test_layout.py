"""Tests mirror the source: each module has the test of its name, or a line here says which test covers it."""

from pathlib import Path

from tests.layout import Layout

ROOT = Path(__file__).parents[1]

COVERED_BY: dict[str, tuple[str, ...]] = {}
"""By module, or folder that ends with `/` for all in it that have no test of their own. For declarations, contracts and
thin modules that have no rule of their own."""

WHOLE_ROOM: dict[str, str] = {}
"""Tests of what no single module does, each with the reason."""


def test_each_module_has_its_test_or_a_line_and_each_test_its_module() -> None:
    assert Layout(ROOT).problems(COVERED_BY, WHOLE_ROOM) == []
