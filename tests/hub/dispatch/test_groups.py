"""How much of the room each kind of lane may have."""

from hypothesis import given
from hypothesis import strategies as st

from hub.dispatch.groups import Bulkheads, Pace


@given(st.integers(1, 10_000))
def test_each_limit_leaves_something_to_the_next_one_and_none_leaves_nothing(room: int) -> None:
    bulkheads = Bulkheads(room)
    slow, unknown, new, quick = (bulkheads.free(pace) for pace in Pace)
    assert 1 <= slow <= unknown <= new <= bulkheads.host_limit <= quick <= room
    assert room < 32 or slow < unknown < new < bulkheads.host_limit < quick < room


def test_what_slower_lanes_have_counts_for_quicker_ones_and_not_the_other_way_round() -> None:
    bulkheads = Bulkheads(100)
    bulkheads.occupy(Pace.QUICK, 20)
    assert [bulkheads.free(pace) for pace in Pace] == [74, 74, 74, 74]
    bulkheads.occupy(Pace.SLOW, 70)
    assert [bulkheads.free(pace) for pace in Pace] == [4, 4, 4, 4]
    bulkheads.occupy(Pace.QUICK, -20)
    assert [bulkheads.free(pace) for pace in Pace] == [5, 12, 18, 24]
    assert bulkheads.in_flight == 70
