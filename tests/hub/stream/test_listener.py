"""What waits for one connection is bounded, leaves as one chunk, and ends with the last words."""

import asyncio

import pytest

from hub.stream import Selection
from hub.stream.chunk import Chunk
from hub.stream.listener import Listener, State
from hub.testing.patience import soon


@pytest.fixture
def listener() -> Listener:
    return Listener("acme", Selection(), is_allowed=lambda: True, heartbeat_at=15.0, ends_at=600.0)


def offer(listener: Listener, chunk: bytes, entries: int = 1) -> bool:
    return listener.offer([Chunk(chunk, entries)], max_entries=3, max_bytes=10)


async def test_it_reads_history_until_its_hand_over(listener: Listener) -> None:
    assert (listener.state, listener.owes_history(100)) == (State.HISTORY, True)
    listener.attach(5)
    assert (listener.state, listener.hand_over, listener.offered) == (State.ATTACHED, 5, 5)
    assert [listener.owes_history(cursor) for cursor in (4, 5, 6)] == [True, False, False]


async def test_what_waits_leaves_as_one_chunk_in_order(listener: Listener) -> None:
    for chunk in (b"1", b"2", b"3"):
        assert offer(listener, chunk)
    assert await listener.take() == b"123"
    assert listener.buffer_empty


async def test_who_takes_from_an_empty_buffer_waits_for_the_next_chunk(listener: Listener) -> None:
    taking = asyncio.create_task(listener.take())
    await asyncio.sleep(0)
    assert not taking.done()
    offer(listener, b"1")
    assert await soon(taking) == b"1"


@pytest.mark.parametrize(("chunk", "entries"), [(b"x", 2), (b"x" * 9, 1)])
async def test_what_would_be_too_much_is_not_buffered(listener: Listener, chunk: bytes, entries: int) -> None:
    assert offer(listener, b"12", 2)
    assert not offer(listener, chunk, entries)
    assert await listener.take() == b"12"
    assert offer(listener, chunk, entries)
    assert offer(listener, b"y"), "what was taken has made room"


async def test_an_empty_buffer_takes_any_chunk(listener: Listener) -> None:
    assert offer(listener, b"x" * 100, 50)
    assert not offer(listener, b"x")


@pytest.mark.parametrize(("discard", "last"), [(False, b"1bye"), (True, b"bye")])
async def test_after_its_last_words_there_is_nothing(listener: Listener, discard: bool, last: bytes) -> None:
    listener.attach(0)
    offer(listener, b"1")
    listener.end(b"bye", discard=discard)
    assert listener.state is State.ENDED
    assert await listener.take() == last
    assert await listener.take() is None


async def test_one_that_is_ended_while_it_waits_is_told_so_at_once(listener: Listener) -> None:
    taking = asyncio.create_task(listener.take())
    await asyncio.sleep(0)
    listener.end(b"bye")
    assert await soon(taking) == b"bye"


async def test_the_rest_of_history_is_left_for_the_next_connection(listener: Listener) -> None:
    listener.end(b"bye")
    assert not listener.owes_history(0)


async def test_an_empty_buffer_takes_all_chunks_of_one_broadcast(listener: Listener) -> None:
    chunks = [Chunk(b"123456789\n", 2), Chunk(b"abcdefghi\n", 2)]
    assert listener.offer(chunks, max_entries=3, max_bytes=10)
    assert await soon(listener.take()) == b"123456789\nabcdefghi\n"
    assert offer(listener, b"next\n")
    assert not listener.offer(chunks, max_entries=3, max_bytes=10)
