"""Event type patterns, and the index that finds subscriptions by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.catalogue.patterns import PatternIndex, check_patterns, is_pattern, is_type, matches
from hub.errors import Invalid

segments = st.text("ab.", min_size=1, max_size=8)
patterns = st.one_of(segments, segments.map(lambda text: text + ".*"), st.just("*"))


@pytest.mark.parametrize(
    ("pattern", "event_type", "holds"),
    [
        ("order.created", "order.created", True),
        ("order.created", "order.paid", False),
        ("order.*", "order.created", True),
        ("order.*", "order.item.added", True),
        ("order.*", "order", False),
        ("order.*", "order.", False),
        ("order.*", "orders.created", False),
        ("com.example.*", "com.example.order/v1", True),
        ("*", "anything", True),
    ],
)
def test_a_star_stands_for_one_or_more_trailing_segments(pattern: str, event_type: str, holds: bool) -> None:
    assert matches(pattern, event_type) is holds


@pytest.mark.parametrize("text", ["order.created", "com.example.order/v1", "A-b_c", "x" * 255])
def test_a_type_is_printable_ascii(text: str) -> None:
    assert is_type(text)


@pytest.mark.parametrize("text", ["", "x" * 256, "two words", "tab\t", "a*", "été", "a\n", "\x7f"])
def test_what_is_no_type(text: str) -> None:
    assert not is_type(text)


@pytest.mark.parametrize("text", ["*.created", "order*", "order.*.paid", ".*", "**", "*.*", ""])
def test_a_star_stands_only_alone_or_as_the_last_segment(text: str) -> None:
    assert not is_pattern(text)


def test_each_malformed_pattern_is_pointed_at() -> None:
    with pytest.raises(Invalid) as caught:
        check_patterns(["order.*", "*.paid", "ok", "no no"])
    assert [fault.pointer for fault in caught.value.errors] == ["/event_types/1", "/event_types/3"]
    assert "paid" not in str(caught.value.errors)


@given(st.lists(st.lists(patterns, max_size=4), max_size=8), segments)
def test_the_index_finds_what_going_through_all_would_find(wanted: list[list[str]], event_type: str) -> None:
    items = [object() for _ in wanted]
    index = PatternIndex((pattern, items[place]) for place, each in enumerate(wanted) for pattern in each)
    expected = tuple(
        item for item, each in zip(items, wanted, strict=True) if any(matches(pattern, event_type) for pattern in each)
    )
    assert index.find(event_type) == expected
    assert index.find(event_type) == expected


def test_a_look_up_among_ten_thousand_touches_only_what_matches() -> None:
    class Watched(str):
        __slots__ = ()
        touched = 0

        def __getattribute__(self, name: str) -> object:
            Watched.touched += 1
            return super().__getattribute__(name)

        def __eq__(self, other: object) -> bool:
            Watched.touched += 1
            return super().__eq__(other)

        __hash__ = str.__hash__

    index = PatternIndex((Watched(f"tenant{number}.order.*"), object()) for number in range(10_000))
    Watched.touched = 0
    assert len(index.find("tenant77.order.paid")) == 1
    assert Watched.touched <= 1


def test_looking_up_ever_new_types_does_not_grow_without_bound() -> None:
    index = PatternIndex([("*", object())])
    for number in range(10_000):
        index.find(f"type{number}")
    assert len(index._found) <= 4_096
