"""What attached listeners are offered: the same bytes, once, without holes, and only as much as they take."""

import asyncio

import pytest

from hub.stream import Limits, Selection
from tests.hub.stream.conftest import Stage, entry
from tests.hub.stream.ears import Ear, Parser
from tests.hub.stream.troubled_feed import TroubledFeed


async def test_listeners_that_select_the_same_share_the_same_bytes(stage: Stage) -> None:
    one, two = await stage.listen(), await stage.listen()
    await stage.attached(2)
    await stage.write()
    await one.hears(1)
    await two.hears(1)
    assert one.chunks[-1] is two.chunks[-1]


async def test_entries_that_wait_together_leave_as_one_chunk(stage: Stage) -> None:
    ear = await stage.listen()
    await stage.attached(1)
    before = len(ear.chunks)
    await stage.write(*[entry()] * 100)
    await ear.hears(100)
    assert len(ear.chunks) == before + 1


class TestSlowListener:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(buffer=10)

    async def test_is_ended_while_others_hear_on_and_resumes_without_a_hole(self, stage: Stage) -> None:
        ear = await stage.listen()
        chunks = await stage.stream.listen("default", Selection(), None, lambda: True)
        parser = Parser()
        parser.feed(await anext(chunks))
        reading = asyncio.ensure_future(anext(chunks))
        await stage.attached(2)
        await stage.write()
        assert [event.id for event in parser.feed(await reading)] == ["1"]
        for count in range(2, 14):
            await stage.write()
            await ear.hears(count)
        rest = [chunk async for chunk in chunks]
        assert len(rest) == 1
        assert parser.feed(rest[0]) == []
        assert parser.comments == ["too slow: reconnect and resume"]
        assert stage.stream.overflows == 1
        resumed = await stage.listen(parser.cursor)
        await resumed.hears(12)
        assert resumed.ids == ear.ids[1:]

    async def test_is_not_ended_while_it_reads_history_however_much_is_written_meanwhile(self, stage: Stage) -> None:
        await stage.write(*[entry()] * 400)
        chunks = await stage.stream.listen("default", Selection(), "earliest", lambda: True)
        parser, told = Parser(), []
        for _ in range(2):
            told += parser.feed(await anext(chunks))
        assert len(told) == 400
        other = await stage.listen()
        await stage.attached(1)
        await stage.write(*[entry()] * 600)
        await other.hears(600)
        told += parser.feed(await anext(chunks))
        for count in range(601, 621):
            await stage.write()
            await other.hears(count)
        while len(told) < 1_020:
            told += parser.feed(await anext(chunks))
        assert [int(event.id) for event in told] == list(range(1, 1_021))

    async def test_is_not_ended_by_one_commit_that_is_larger_than_its_buffer(self, stage: Stage) -> None:
        ear = await stage.listen()
        await stage.attached(1)
        await stage.write(*[entry()] * 50)
        await ear.hears(50)
        assert stage.stream.overflows == 0


async def test_while_nobody_listens_the_reader_rests_and_newcomers_hear_nothing_old(stage: Stage) -> None:
    ear = await stage.listen()
    await stage.attached(1)
    await ear.leaves()
    await stage.write(*[entry()] * 3)
    ear = await (await stage.listen()).opens()
    last = await stage.write()
    await ear.hears(1)
    assert ear.ids == [last]


@pytest.mark.parametrize("later", [0, 1, 5])
async def test_a_listener_that_is_ahead_of_the_reader_is_told_nothing_twice(stage: Stage, later: int) -> None:
    feed = TroubledFeed(stage.store.feed)
    stream = await stage.open_stream(feed, Limits())
    behind = await stage.listen(stream=stream)
    await stage.attached(1, stream)
    feed.reader_may_go.clear()
    await stage.write(*[entry()] * 3)
    ahead = await (await stage.listen(stream=stream)).opens()
    resumed = await stage.listen("1", stream=stream)
    await resumed.hears(2)
    await stage.attached(3, stream)
    for _ in range(later):
        await stage.write()
    feed.reader_may_go.set()
    await behind.hears(3 + later)
    last = await stage.write()
    await ahead.hears(later + 1)
    await resumed.hears(later + 3)
    assert ahead.ids == list(range(4, last + 1))
    assert resumed.ids == list(range(2, last + 1))


async def test_a_listener_that_the_reader_is_ahead_of_reads_what_is_missing(stage: Stage) -> None:
    chunks = await stage.stream.listen("default", Selection(), None, lambda: True)
    other = await stage.listen()
    await stage.attached(1)
    await stage.write(*[entry()] * 3)
    await other.hears(3)
    ear = Ear(chunks)
    await ear.hears(3)
    await stage.write()
    await ear.hears(4)
    assert ear.ids == [1, 2, 3, 4]


async def test_when_the_reader_itself_fell_behind_what_is_kept_listeners_resume_and_are_told(stage: Stage) -> None:
    """As after a process was frozen for longer than entries are kept."""
    feed = TroubledFeed(stage.store.feed)
    stream = await stage.open_stream(feed, Limits())
    await stage.write()
    ear = await stage.listen(stream=stream)
    await stage.attached(1, stream)
    feed.trimmed = 5
    await stage.write(*[entry()] * 8)
    await ear.ends()
    assert (ear.events, ear.parser.cursor) == ([], "1")
    resumed = await stage.listen(ear.parser.cursor, stream=stream)
    gap, *_ = await resumed.hears(5)
    assert (gap.name, resumed.ids) == ("gap", [5, 6, 7, 8, 9])


async def test_when_nothing_is_kept_of_what_the_reader_missed_listeners_resume_and_are_told(stage: Stage) -> None:
    feed = TroubledFeed(stage.store.feed)
    stream = await stage.open_stream(feed, Limits())
    ear = await stage.listen(stream=stream)
    await stage.attached(1, stream)
    feed.trimmed = 3
    await stage.write(*[entry()] * 3)
    await ear.ends()
    resumed = await stage.listen(ear.parser.cursor, stream=stream)
    await resumed.hears(1)
    await stage.settle()
    last = await stage.write()
    await resumed.hears(2)
    assert resumed.ids == [3, last]
