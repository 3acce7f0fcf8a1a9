"""What a listener is told: from where, without holes, and until when."""

import asyncio
import json
import random

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent

from hub.errors import Unavailable
from hub.models import FeedKind
from hub.stream import Limits, Selection
from hub.stream.live_tail import PAGE
from hub.testing.patience import patience
from tests.hub.stream.conftest import Stage, entry
from tests.hub.stream.ears import Ear
from tests.hub.stream.troubled_feed import TroubledFeed


async def test_a_listener_without_a_cursor_starts_at_now(stage: Stage) -> None:
    await stage.write()
    ear = await stage.listen()
    written = await stage.write(entry(data=b'{"id":"evt_2"}'))
    (heard,) = await ear.hears(1)
    assert (heard.id, heard.name, heard.data) == (str(written), "event.accepted", '{"id":"evt_2"}')


async def test_what_is_written_before_the_first_byte_is_sent_is_heard(stage: Stage) -> None:
    """The response starts before its body is asked for, and clients publish as soon as they see its status."""
    chunks = await stage.stream.listen("default", Selection(), None, lambda: True)
    written = await stage.write()
    ear = Ear(chunks)
    await ear.hears(1)
    assert ear.ids == [written]


async def test_the_opening_tells_when_to_reconnect_and_where_the_listener_stands(stage: Stage) -> None:
    written = await stage.write()
    ear = await (await stage.listen()).opens()
    assert ear.parser.cursor == str(written)
    assert ear.parser.retry is not None
    assert 1_000 <= ear.parser.retry <= 4_000
    assert ear.events == []


async def test_a_listener_resumes_after_its_cursor(stage: Stage) -> None:
    first = await stage.write()
    await stage.write(entry(), entry())
    ear = await stage.listen(str(first))
    await ear.hears(2)
    await stage.write()
    await ear.hears(3)
    assert ear.ids == [first + 1, first + 2, first + 3]


async def test_earliest_is_the_oldest_kept_and_no_gap(stage: Stage) -> None:
    await stage.write(*[entry()] * 5)
    await stage.trim(3)
    ear = await stage.listen("earliest")
    assert [event.name for event in await ear.hears(2)] == ["event.accepted"] * 2
    assert ear.ids == [4, 5]


async def test_a_cursor_older_than_what_is_kept_gives_a_gap_and_then_all_that_is_kept(stage: Stage) -> None:
    await stage.write(*[entry()] * 5)
    await stage.trim(3)
    ear = await stage.listen("1")
    gap, *_ = await ear.hears(3)
    assert (gap.name, json.loads(gap.data)) == ("gap", {"oldest": 4, "requested": 1})
    assert ear.ids == [3, 4, 5]
    again = await stage.listen(gap.id)
    assert [event.name for event in await again.hears(2)] == ["event.accepted"] * 2


async def test_a_feed_of_which_nothing_is_kept_is_a_gap_to_an_old_cursor(stage: Stage) -> None:
    await stage.write(*[entry()] * 5)
    await stage.trim(5)
    ear = await stage.listen("2")
    (gap,) = await ear.hears(1)
    assert (gap.id, gap.name) == ("5", "gap")
    await stage.write()
    await ear.hears(2)


async def test_a_cursor_at_the_edge_of_what_is_kept_misses_nothing(stage: Stage) -> None:
    await stage.write(*[entry()] * 5)
    await stage.trim(3)
    ear = await stage.listen("3")
    await ear.hears(2)
    assert ear.ids == [4, 5]


@pytest.mark.parametrize("cursor", ["99", "x", "-1", "1.0", "²", "", " 1", "9" * 40])
async def test_a_cursor_that_was_never_given_out_gives_a_gap_and_then_now(stage: Stage, cursor: str) -> None:
    await stage.write(*[entry()] * 5)
    ear = await stage.listen(cursor)
    (gap,) = await ear.hears(1)
    assert (gap.id, gap.name) == ("5", "gap")
    assert json.loads(gap.data) == {"oldest": 1, "requested": 99 if cursor == "99" else None}
    await stage.write()
    await ear.hears(2)
    assert ear.ids == [5, 6]


async def test_what_is_trimmed_while_history_is_read_is_told_as_a_gap(stage: Stage) -> None:
    await stage.write(*[entry()] * (PAGE * 2 + 10))
    chunks = await stage.stream.listen("default", Selection(), "earliest", lambda: True)
    opening = await anext(chunks) + await anext(chunks)
    await stage.trim(PAGE + 5)
    ear = Ear(chunks)
    ear.events += ear.parser.feed(opening)
    heard = await ear.hears(PAGE * 2 + 10 - 5 + 1)
    assert [event.name for event in heard].count("gap") == 1
    assert json.loads(heard[PAGE].data) == {"oldest": PAGE + 6, "requested": PAGE}
    assert ear.ids == [*range(1, PAGE + 1), PAGE + 5, *range(PAGE + 6, PAGE * 2 + 11)]


async def test_long_history_comes_in_pages_that_move_the_cursor_even_when_nothing_in_them_is_shown(
    stage: Stage,
) -> None:
    await stage.write(*[entry()] * PAGE, *[entry(event_type="user.deleted")] * PAGE, entry())
    ear = await stage.listen("earliest", Selection(types=("user.*",)))
    await ear.hears(PAGE)
    await ear.until(lambda ear: ear.parser.cursor == str(2 * PAGE + 1))
    silent = await stage.listen("earliest", Selection(types=("no.*",)))
    await silent.until(lambda ear: ear.parser.cursor == str(2 * PAGE + 1))
    assert silent.events == []


async def test_another_tenants_entries_are_never_told(stage: Stage) -> None:
    ours, theirs = await stage.listen("earliest"), await stage.listen("earliest", tenant="acme")
    for _ in range(3):
        await stage.write(entry(), entry("acme"), entry())
    await ours.hears(6)
    await theirs.hears(3)
    late = await stage.listen("earliest", tenant="acme")
    await late.hears(3)
    assert ours.ids == [1, 3, 4, 6, 7, 9]
    assert theirs.ids == late.ids == [2, 5, 8]


async def test_only_what_is_selected_is_told(stage: Stage) -> None:
    ear = await stage.listen(selection=Selection(types=("delivery.dead",)))
    history = await stage.listen("earliest", Selection(types=("delivery.dead",)))
    last = await stage.write(entry(), entry(kind=FeedKind.DELIVERY_DEAD), entry())
    await ear.hears(1)
    await history.hears(1)
    assert ear.ids == history.ids == [last - 1]


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_or_doubled_over_any_breaks_while_others_publish(stage: Stage, seed: int) -> None:
    chance = random.Random(seed)
    tenants = ("default", "acme")
    total = 1_500

    async def publish() -> None:
        written = 0
        while written < total:
            size = min(chance.choice((1, 1, 2, 7, 300)), total - written)
            await stage.write(*[entry(tenant) for _ in range(size) for tenant in tenants])
            written += size
            await asyncio.sleep(chance.choice((0, 0, 0.001)))

    async def follow(tenant: str) -> list[int]:
        ids: list[int] = []
        cursor: str | None = "earliest"
        while len(ids) < total:
            ear = await stage.listen(cursor, tenant=tenant)
            await ear.reaches(min(chance.choice((0, 1, 20, 100)), total - len(ids)))
            await ear.leaves()
            ids += ear.ids
            cursor = ear.parser.cursor or cursor
        return ids

    async with patience():
        publishing = asyncio.create_task(publish())
        heard = await asyncio.gather(*[follow(tenant) for tenant in tenants for _ in range(4)])
        await publishing
    for place, ids in enumerate(heard):
        first = 1 + place // 4
        assert ids == list(range(first, 2 * total + 1, 2))
    assert stage.stream.listeners == 0


async def test_a_quiet_connection_has_heartbeats_that_move_the_cursor(stage: Stage) -> None:
    ear = await stage.listen(selection=Selection(types=("user.*",)))
    await stage.attached(1)
    await stage.write(entry(), entry())
    await stage.until(lambda: stage.stream._live.cursor == 2)
    await stage.clock.elapse(14)
    assert ear.parser.comments == []
    await stage.clock.elapse(2)
    await ear.until(lambda ear: ear.parser.comments == [""])
    assert (ear.parser.cursor, ear.events) == ("2", [])
    await stage.clock.elapse(15)
    await ear.until(lambda ear: ear.parser.comments == ["", ""])


async def test_a_busy_connection_has_no_heartbeats(stage: Stage) -> None:
    ear = await stage.listen()
    await stage.attached(1)
    for count in range(1, 5):
        await stage.write()
        await ear.hears(count)
        await stage.clock.elapse(10)
    await stage.settle()
    assert ear.parser.comments == []


async def test_a_connection_ends_at_its_maximum_age_give_or_take_a_tenth(stage: Stage) -> None:
    ears = [await stage.listen() for _ in range(30)]
    await stage.attached(30)
    written = await stage.write()
    for ear in ears:
        await ear.hears(1)
    await stage.clock.elapse(539)
    assert not any(ear.ended for ear in ears)
    await stage.clock.elapse(60)
    await stage.settle()
    assert 0 < sum(ear.ended for ear in ears) < 30
    await stage.clock.elapse(63)
    for ear in ears:
        await ear.ends()
        assert ear.parser.cursor == str(written)
        assert ear.chunks[-1].startswith(b"retry: ")
    assert stage.stream.listeners == 0


async def test_a_connection_ends_soon_after_its_key_is_revoked(stage: Stage) -> None:
    good = True
    ear = await (await stage.listen(allowed=lambda: good)).opens()
    other = await (await stage.listen()).opens()
    await stage.clock.elapse(30)
    assert not ear.ended
    good = False
    await stage.clock.elapse(1.1)
    await ear.ends()
    assert any("the key is no longer valid" in comment for comment in ear.parser.comments)
    assert not other.ended


async def test_closing_ends_every_connection_after_what_waits_and_admits_no_more(stage: Stage) -> None:
    ears = [await stage.listen() for _ in range(20)]
    await stage.attached(20)
    written = await stage.write()
    await ears[0].hears(1)
    stage.stream.closing.set()
    for ear in ears:
        await ear.ends()
        assert ear.ids == [written]
        assert ear.chunks[-1].startswith(b": the hub is stopping\nretry: ")
    assert len({ear.parser.retry for ear in ears}) > 1
    late = await (await stage.listen()).ends()
    assert late.parser.retry is not None
    assert late.events == []


async def test_closing_amid_history_claims_nothing_that_was_not_told(stage: Stage) -> None:
    await stage.write(*[entry()] * (PAGE * 3))
    chunks = await stage.stream.listen("default", Selection(), "earliest", lambda: True)
    opening = await anext(chunks) + await anext(chunks)
    stage.stream.close()
    ear = Ear(chunks)
    ear.events += ear.parser.feed(opening)
    await ear.ends()
    resumed = int(ear.parser.cursor)
    assert ear.ids == list(range(1, resumed + 1))
    assert resumed < PAGE * 3


async def test_slow_history_has_no_heartbeats_that_would_move_the_cursor_back(stage: Stage) -> None:
    feed = TroubledFeed(stage.store.feed)
    stream = await stage.open_stream(feed, Limits())
    await stage.write(*[entry()] * 5)
    feed.history_may_go.clear()
    ear = await (await stage.listen("1", stream=stream)).opens()
    await stage.clock.elapse(16)
    feed.history_may_go.set()
    await ear.hears(4)
    await stage.settle()
    assert (ear.parser.comments, ear.parser.cursor) == ([], "5")


async def test_what_was_read_just_before_it_was_trimmed_is_no_gap(stage: Stage) -> None:
    feed = TroubledFeed(stage.store.feed)
    stream = await stage.open_stream(feed, Limits())
    await stage.write(*[entry()] * 5)
    feed.trimmed_after_next_read = 3
    ear = await stage.listen("earliest", stream=stream)
    assert {event.name for event in await ear.hears(5)} == {"event.accepted"}
    assert ear.ids == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("trouble", [Unavailable("The disk is full.", retry_after=3), RuntimeError("a bug")])
async def test_the_stream_goes_on_after_the_store_did_not_answer(stage: Stage, trouble: Exception) -> None:
    feed = TroubledFeed(stage.store.feed)
    stream = await stage.open_stream(feed, Limits())
    ear = await stage.listen(stream=stream)
    await stage.attached(1, stream)
    feed.trouble = trouble
    sleepers = stage.clock.sleepers
    await stage.write()
    await stage.until(lambda: stage.clock.sleepers > sleepers)
    assert ear.events == []
    feed.trouble = None
    await stage.clock.elapse(4)
    await ear.hears(1)


async def test_a_store_that_does_not_answer_makes_newcomers_come_back_later(stage: Stage) -> None:
    feed = TroubledFeed(stage.store.feed)
    stream = await stage.open_stream(feed, Limits())
    last = await stage.write()
    chunks = await stream.listen("default", Selection(), "earliest", lambda: True)
    feed.trouble = Unavailable("The disk is full.")
    for ear in (Ear(chunks), await stage.listen(stream=stream)):
        await ear.ends()
        assert ear.parser.comments == ["the store does not answer"]
        assert ear.parser.retry is not None
        assert ear.parser.retry >= 10_000
        assert ear.parser.cursor != str(last)
    assert stream.listeners == 0


def as_httpx_sse_hears(ear: Ear) -> list[ServerSentEvent]:
    """What Python's most used client makes of the bytes: once it has seen an id, it makes an event of every blank
    line."""
    answer = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=b"".join(ear.chunks))
    return list(EventSource(answer).iter_sse())


class TestHttpxSse:
    async def test_every_item_has_json_from_the_opening_to_the_end(self, stage: Stage) -> None:
        ear = await stage.listen(selection=Selection(types=("user.*",)))
        await stage.attached(1)
        for _ in range(3):
            await stage.write()
            await stage.clock.elapse(16)
        await stage.write(entry(event_type="user.deleted"))
        await ear.hears(1)
        await stage.write()
        await stage.until(lambda: stage.stream._live.cursor == 5)
        stage.stream.close()
        await ear.ends()
        items = as_httpx_sse_hears(ear)
        assert [item.json() for item in items] == [{}, {}, {}, {}, {"id": "evt_1"}, {}]
        assert [(item.id, item.event) for item in items] == [
            ("0", "cursor"), ("1", "cursor"), ("2", "cursor"), ("3", "cursor"), ("4", "event.accepted"), ("5", "cursor")
        ]  # fmt: skip
        assert items[0].retry is not None

    @pytest.mark.parametrize("last_event_id", ["1", "earliest", "99", "made-up"])
    async def test_the_first_item_has_json_and_the_time_to_wait_wherever_the_stream_begins(
        self, stage: Stage, last_event_id: str
    ) -> None:
        await stage.write(*[entry()] * 3)
        ear = await stage.listen(last_event_id)
        await ear.reaches(1)
        first, *rest = as_httpx_sse_hears(ear)
        assert isinstance(first.json(), dict)
        assert first.retry is not None
        assert all(isinstance(item.json(), dict) and item.retry is None for item in rest)

    async def test_history_in_which_nothing_is_shown_is_one_item(self, stage: Stage) -> None:
        await stage.write(*[entry()] * 3)
        ear = await stage.listen("earliest", Selection(types=("user.*",)))
        await ear.until(lambda ear: ear.parser.cursor == "3")
        (item,) = as_httpx_sse_hears(ear)
        assert (item.id, item.event, item.json()) == ("3", "cursor", {})

    async def test_a_refusal_is_no_item(self, stage: Stage) -> None:
        stage.stream.close()
        ear = await (await stage.listen()).ends()
        assert as_httpx_sse_hears(ear) == []
        assert ear.parser.retry is not None


async def test_a_quiet_connection_on_which_nothing_happened_has_bare_heartbeats(stage: Stage) -> None:
    ear = await stage.listen()
    await stage.attached(1)
    await stage.write()
    await ear.hears(1)
    before = len(ear.chunks)
    await stage.clock.elapse(16)
    await ear.until(lambda ear: len(ear.parser.comments) == 1)
    await stage.clock.elapse(16)
    await ear.until(lambda ear: len(ear.parser.comments) == 2)
    assert ear.chunks[before:] == [b":\n", b":\n"]
