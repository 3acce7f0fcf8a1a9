"""A cursor is what it was made of, and anything else is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import BadRequest
from hub.stores.base import Page
from hub.stores.paging import cursor_of, listing, position_of


@settings(deadline=None, max_examples=50)
@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_cursor_gives_back_the_position_it_was_made_of(number: int, text: str) -> None:
    cursor = cursor_of(number, text)
    assert position_of(cursor, int, str) == [number, text]
    assert cursor.isascii()
    assert not {*"=+/&?#"}.intersection(cursor)
    with pytest.raises(BadRequest):
        position_of(cursor, str, int)


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    try:
        position = position_of(text, int)
    except BadRequest:
        return
    assert [type(part) for part in position] == [int]


@pytest.mark.parametrize("cursor", ["", "x", "WzFd*", cursor_of(), cursor_of(1, 2), "W3RydWVd", "bnVsbA"])
def test_what_this_list_never_gave_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest):
        position_of(cursor, int)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(), max_size=8), st.integers(1, 5))
def test_there_is_another_page_exactly_where_one_item_more_was_read(items: list[int], limit: int) -> None:
    read = items[: limit + 1]
    page = listing(read, Page(limit), str)
    assert list(page.items) == items[:limit]
    assert page.next_cursor == (str(items[limit - 1]) if len(items) > limit else None)
