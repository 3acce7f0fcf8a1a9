"""Listeners share what waits for them, and it is counted once, as long as one of them has it."""

from hub.shares import MemoryBudget
from hub.stream.chunk import Chunk, pieces


def test_a_chunk_is_counted_once_until_the_last_listener_has_dropped_it() -> None:
    budget = MemoryBudget(100)
    chunk = Chunk(b"x" * 40, 2, "acme", budget)
    assert budget.held == 0
    assert chunk.keep(always=False)
    assert chunk.keep(always=False)
    chunk.drop()
    assert budget.held == 40
    chunk.drop()
    assert budget.held == 0


def test_what_finds_no_room_is_kept_only_by_those_who_must_have_it() -> None:
    budget = MemoryBudget(100)
    assert budget.take("acme", 50)
    chunk = Chunk(b"x" * 40, 2, "acme", budget)
    assert not chunk.keep(always=False)
    assert chunk.keep(always=True)
    chunk.drop()
    assert budget.held == 50


def test_frames_are_joined_to_pieces_that_are_not_longer_than_they_may_be() -> None:
    frames = [b"aaa", b"bb", b"", b"cccccc", b"d", b"e"]
    assert list(pieces(frames, 5)) == [(b"aaabb", 3), (b"cccccc", 1), (b"de", 2)]
    assert list(pieces([], 5)) == []
