"""Bytes of the stream say what was meant, whatever is in the data."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.models import FeedKind
from hub.stream import frames
from tests.hub.stream.conftest import Stage, entry
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
