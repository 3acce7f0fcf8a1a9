"""What is stored keeps its form: older versions read it, newer ones may add to it, and it is the whole model."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from hub.models import Attempt, Cause, Event, FeedEntry, FeedKind, Outcome, Resource, Status
from hub.stores.redis.keyspace.codec import (
    attempt_from,
    entry_from,
    event_from,
    pack,
    packed_attempt,
    packed_entry,
    packed_event,
)
from hub.stores.sqlite.database.opening import prepare
from hub.stores.stored import Codec, StoredEvent, attempts, events, feed_entries
from tests.clock import START, ManualClock

EVENT = Event(
    id="evt_1",
    tenant="ten_a",
    type="order.created",
    source="/shop",
    source_id="s-1",
    subject="ü",
    time=START,
    data='{"ü": 1.10}'.encode(),
    content_type="application/json",
    data_base64=True,
    extensions={"dataschema": "urn:x", "n": 3, "b": True},
    ordering_key="k",
    deliver_at=START,
    expires_at=START,
    traceparent="00-a-b-01",
    accepted_at=START,
)
ATTEMPT = Attempt(
    number=2,
    cause=Cause.REPLAY,
    started_at=START,
    duration_ms=7,
    outcome=Outcome.FAILED,
    status_code=500,
    error="no",
    response_body="ok",
)
ENTRY = FeedEntry("ten_a", FeedKind.DELIVERY_DEAD, b'{"a":1}', "order.created", "evt_1", "sub_1", Status.DEAD)
AT = int(START.timestamp() * 1000)
# As the first release wrote them; the scripts count on these places, too.
STORED_EVENT = [
    *("ten_a", "order.created", "ü", "/shop", "s-1", AT, "evt_1", AT, "application/json", True),
    *({"dataschema": "urn:x", "n": 3, "b": True}, "k", AT, AT, "00-a-b-01", '{"ü": 1.10}'),
]
STORED_ATTEMPT = ["replay", AT, 7, "failed", 500, "no", "ok"]
STORED_ENTRY = ["ten_a", "delivery.dead", '{"a":1}', "order.created", "evt_1", "sub_1", "dead"]


def test_what_redis_holds_begins_as_the_first_release_wrote_it() -> None:
    for packed, written, first in (
        (packed_event(EVENT), events.stored(EVENT), STORED_EVENT),
        (packed_attempt(ATTEMPT), attempts.stored(ATTEMPT), STORED_ATTEMPT),
        (packed_entry(ENTRY), feed_entries.stored(ENTRY), STORED_ENTRY),
    ):
        assert packed == pack(written)
        assert msgspec.msgpack.decode(packed)[: len(first)] == first


def test_what_the_first_release_wrote_is_read() -> None:
    assert event_from(pack(STORED_EVENT), None) == EVENT
    assert attempt_from(2, pack(STORED_ATTEMPT)) == ATTEMPT
    assert entry_from(pack(STORED_ENTRY)) == ENTRY


def test_members_that_a_newer_version_added_are_ignored() -> None:
    added = ["what", 1, "newer version", None]
    assert event_from(pack([*events.values(EVENT), *added]), None) == EVENT
    assert attempt_from(2, pack([*attempts.values(ATTEMPT), *added])) == ATTEMPT
    assert entry_from(pack([*feed_entries.values(ENTRY), *added])) == ENTRY


class Grown(Resource):
    number: int
    cause: Cause
    note: str | None = None


class StoredGrown(msgspec.Struct, array_like=True):
    cause: str
    note: str | None = None


def test_a_new_member_has_its_default_in_what_older_versions_wrote() -> None:
    grown = Codec(StoredGrown, Grown, beside="number")
    older, newer = Grown(number=1, cause=Cause.REPLAY), Grown(number=1, cause=Cause.REPLAY, note="new")
    assert grown.restored("replay", number=1) == older
    assert grown.restored(*grown.values(newer), number=1) == newer
    assert msgspec.convert(["replay"], StoredGrown) == grown.stored(older)


def test_every_member_is_stored_or_kept_beside() -> None:
    assert {*events.fields, "cancelled_at"} == {*Event.model_fields}
    assert {*attempts.fields, "number"} == {*Attempt.model_fields}
    assert [*feed_entries.fields] == [one.name for one in dataclasses.fields(FeedEntry)]


def test_an_empty_member_comes_back_empty() -> None:
    bare = Event(id="evt_2", tenant="t", type="x", source="s", time=START, data=b"null", accepted_at=START)
    assert events.restored(*events.values(bare), cancelled_at=None) == bare
    assert events.restored(*events.values(bare), cancelled_at=START).cancelled_at == START


def test_what_is_no_stored_event_is_told_from_one() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert([*STORED_EVENT[:-1], 7], StoredEvent)


@pytest.mark.parametrize(
    ("table", "fields"), [("events", events.fields), ("attempts", attempts.fields), ("feed", feed_entries.fields)]
)
def test_sqlite_has_a_column_of_each_name(table: str, fields: tuple[str, ...], tmp_path: Path) -> None:
    connection = prepare(tmp_path / "hub.db", ManualClock())
    assert {*fields} <= {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    connection.close()
