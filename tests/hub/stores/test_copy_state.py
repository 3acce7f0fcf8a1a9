"""How far a copy has come is read from, and written as, what stores already hold."""

from hub.stores.base import CopyState, Piece, Section
from hub.stores.copy_state import COMPLETED, begun, copy_state


def test_a_store_that_nothing_was_copied_into_has_no_state() -> None:
    assert copy_state({}) is None


def test_a_copy_that_was_interrupted_goes_on_where_each_section_ended() -> None:
    places = {"counters": "8c1f", "records": "a", "feed": "17"}
    assert copy_state(places) == CopyState("8c1f", {Section.RECORDS: "a", Section.FEED: "17"}, complete=False)


def test_a_copy_is_complete_once_the_feed_is_marked_as_whole() -> None:
    places = {"counters": "8c1f", "records": "a", "feed": "whole"}
    assert copy_state(places) == CopyState("8c1f", {Section.RECORDS: "a"}, complete=True)


def test_the_beginning_and_the_end_are_kept_in_the_places_of_two_sections() -> None:
    assert begun("8c1f", [b"{}"]) == (Section.COUNTERS, Piece([b"{}"], "8c1f"))
    section, piece = COMPLETED
    assert (section, piece) == (Section.FEED, Piece((), "whole"))
