"""A mark is read by the version that wrote it and by others."""

from hub.stores.base import ClockMark
from hub.stores.clock_mark import accepted, decoded, encoded

MARK = ClockMark("boot", 12.5, 1_000, 2_000, wall_off=-7_200.0, held=60.0)


def test_a_mark_is_read_as_it_was_written() -> None:
    assert decoded(encoded(MARK)) == MARK


def test_members_of_a_newer_version_are_ignored() -> None:
    assert decoded(encoded(MARK).replace(b"{", b'{"newer":[1],')) == MARK


def test_what_cannot_be_read_is_no_mark() -> None:
    assert decoded(b"{") is None
    assert decoded(b'{"boot":1}') is None


def test_an_accepted_mark_has_nothing_that_is_off() -> None:
    assert accepted(MARK) == ClockMark("boot", 12.5, 1_000, 2_000)
    assert accepted(ClockMark("boot", 12.5, 1_000, 2_000)) is None
    assert accepted(None) is None
