"""Bytes of the stream say what was meant, whatever is in the data."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.models import FeedKind, FeedRow
from hub.stream import frames
from tests.hub.stream.conftest import NAMES, Stage, entry
from tests.hub.stream.ears import Parser


async def test_line_ends_in_data_cannot_forge_a_field(stage: Stage) -> None:
    ear = await (await stage.listen()).opens()
    await stage.write(entry(data=b'{"a":\r1,\n"b":\r\nevent: gap\n\nid: 7}'))
    (heard,) = await ear.hears(1)
    assert heard.name == "event.accepted"
    assert heard.data == '{"a":\n1,\n"b":\nevent: gap\n\nid: 7}'
    assert re.fullmatch(rb"(?s)id: 1\nevent: event.accepted\n(data: [^\n]*\n)+\n", ear.chunks[-1])


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 2**53), st.sampled_from(sorted(set(FeedKind) - {FeedKind.CURSOR})), st.binary(max_size=30))
def test_an_event_is_read_back_whatever_its_data(cursor: int, kind: FeedKind, data: bytes) -> None:
    text = data.decode("latin-1").encode()
    (heard,) = Parser().feed(frames.event(cursor, kind, text))
    assert (heard.id, heard.name) == (str(cursor), kind)
    assert heard.data.encode().split(b"\n") == (text.splitlines() or [b""])


def row(data: bytes, subscription_id: str | None = "sub_1") -> FeedRow:
    return FeedRow(7, entry(kind=FeedKind.DELIVERY_DEAD, data=data, subscription_id=subscription_id))


def named(data: bytes, subscription_id: str | None = "sub_1") -> Any:
    (heard,) = Parser().feed(frames.entry(row(data, subscription_id), NAMES.get))
    return json.loads(heard.data)


def test_a_delivery_names_its_subscription_beside_its_id() -> None:
    data = b'{"id":"dlv_1","subscription_id":"sub_1","channel":"slack","reason":"\\"subscription_id\\":\\"sub_1\\""}'
    shown = named(data)
    assert shown == {**json.loads(data), "subscription_name": NAMES["sub_1"]}
    assert [*shown][1:3] == ["subscription_id", "subscription_name"]


def test_a_subscription_that_is_gone_has_no_name() -> None:
    assert named(b'{"subscription_id":"sub_2"}', "sub_2") == {"subscription_id": "sub_2", "subscription_name": None}


def test_what_belongs_to_no_subscription_or_is_one_is_shown_as_it_was_written() -> None:
    assert named(b'{"id":"evt_1"}', None) == {"id": "evt_1"}
    assert named(b'{"id":"sub_1","name":"old"}') == {"id": "sub_1", "name": "old"}


@pytest.mark.parametrize(("requested", "shown"), [(None, None), (7, 7)])
def test_a_gap_says_what_is_kept_and_what_was_asked_for(requested: int | None, shown: int | None) -> None:
    (heard,) = Parser().feed(frames.gap(9, 10, requested))
    assert (heard.id, heard.name, json.loads(heard.data)) == ("9", "gap", {"oldest": 10, "requested": shown})


def test_the_cursor_moves_by_an_event_with_data() -> None:
    assert frames.cursor(9) == b"id: 9\nevent: cursor\ndata: {}\n\n"


def test_what_is_no_event_ends_no_block() -> None:
    """A client that makes an event of every blank line would make one of each of them."""
    for line in (frames.HEARTBEAT, frames.comment("the hub is stopping"), frames.retry(1.0, 4.0)):
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1


def test_heartbeats_and_comments_are_ignored_by_programs() -> None:
    parser = Parser()
    assert parser.feed(frames.HEARTBEAT + frames.comment("the hub is stopping")) == []
    assert parser.comments == ["", "the hub is stopping"]


def test_listeners_are_told_to_come_back_at_different_times() -> None:
    told = set()
    for _ in range(50):
        parser = Parser()
        assert parser.feed(frames.retry(1.0, 4.0)) == []
        assert parser.retry is not None
        assert 1_000 <= parser.retry <= 4_000
        told.add(parser.retry)
    assert len(told) > 1
