"""Pages of a list in memory, one after the other, are the list."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.api.paging import page_of
from hub.stores.base import Page


def name(item: str) -> str:
    return item


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=3), unique=True), st.integers(1, 5), st.booleans())
def test_all_pages_together_are_the_list(items: list[str], limit: int, descending: bool) -> None:
    items.sort(reverse=descending)
    read: list[str] = []
    cursor = None
    while True:
        page = page_of(items, Page(limit, cursor), name, descending=descending)
        assert len(page.items) <= limit
        read += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.items) == limit
    assert read == items


def test_what_is_added_or_removed_between_pages_shifts_nothing() -> None:
    first = page_of(["b", "d", "f"], Page(2), name)
    assert first.next_cursor == "d"
    assert page_of(["a", "b", "e", "f"], Page(2, first.next_cursor), name).items == ("e", "f")
