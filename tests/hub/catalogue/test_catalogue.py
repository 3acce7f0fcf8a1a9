"""What is registered is in memory as the store has it: changed in one place, seen in every process, by tenant."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from structlog.testing import capture_logs

from hub.catalogue.catalogue import WRITE_TRIES, Catalogue
from hub.catalogue.keys.model import Tenant
from hub.catalogue.subscriptions import Subscription, SubscriptionCodec, SubscriptionSpec
from hub.errors import Conflict, StaleCatalogue
from hub.models import FeedEntry, Record
from hub.stores.base import Records, Store
from hub.testing.clock import START, ManualClock


def tenant(name: str) -> Record:
    return Record("tenant", name, name, Tenant(id=name, name=name, created_at=START).model_dump_json().encode())


def made(codec: SubscriptionCodec, owner: str = "acme", **members: object) -> Subscription:
    spec = {"name": "all", "event_types": ["*"], "channel": "file", "target": {"name": "all"}, **members}
    return codec.build(owner, SubscriptionSpec.model_validate(spec), by_operator=True, at=START)


async def add(catalogue: Catalogue, *records: Record) -> None:
    await catalogue.change(lambda: (records, []))


class ForgetfulRecords(Records):
    """Records of a store that came back without anything."""

    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        raise NotImplementedError

    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        return [], 0


async def test_a_change_is_in_memory_when_it_returns_and_elsewhere_after_a_refresh(
    catalogue: Catalogue, codec: SubscriptionCodec, store: Store
) -> None:
    elsewhere = Catalogue(store.records, codec.decode)
    await add(catalogue, tenant("acme"))
    assert (list(catalogue.tenants), list(elsewhere.tenants)) == (["acme"], [])
    await elsewhere.refresh()
    assert (list(elsewhere.tenants), elsewhere.version) == (["acme"], catalogue.version)


async def test_a_change_is_built_again_when_another_process_wrote_in_between(
    catalogue: Catalogue, codec: SubscriptionCodec, store: Store
) -> None:
    await add(Catalogue(store.records, codec.decode), tenant("first"))
    seen: list[list[str]] = []

    def build() -> tuple[list[Record], list[FeedEntry]]:
        seen.append(list(catalogue.tenants))
        return [tenant("second")], []

    await catalogue.change(build)
    assert seen == [[], ["first"]]
    assert sorted(catalogue.tenants) == ["first", "second"]


async def test_those_who_wait_for_a_reading_share_the_next_one(catalogue: Catalogue, store: Store) -> None:
    class CountedRecords(ForgetfulRecords):
        reads = 0

        async def changes(self, since: int) -> tuple[Sequence[Record], int]:
            self.reads += 1
            return await store.records.changes(since)

    records = CountedRecords()
    elsewhere = Catalogue(records, catalogue._decode_subscription)
    await asyncio.gather(*(elsewhere.refresh() for _ in range(50)))
    # The first had begun before the others asked, so what it reads may be too old for them.
    assert records.reads == 2
    await elsewhere.refresh()
    assert records.reads == 3


async def test_a_change_that_is_always_overtaken_is_given_up(catalogue: Catalogue, store: Store) -> None:
    class OvertakenRecords(Records):
        tries = 0

        async def write(
            self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
        ) -> int:
            self.tries += 1
            await store.records.write([tenant(f"other-{self.tries}")])
            return await store.records.write(records, feed, expected=expected)

        async def changes(self, since: int) -> tuple[Sequence[Record], int]:
            return await store.records.changes(since)

    records = OvertakenRecords()
    overtaken = Catalogue(records, catalogue._decode_subscription)
    with pytest.raises(StaleCatalogue) as given_up:
        await add(overtaken, tenant("late"))
    assert (given_up.value.retry_after, records.tries) == (1, WRITE_TRIES)
    assert "late" not in overtaken.tenants


async def test_what_builds_nothing_or_raises_writes_nothing(catalogue: Catalogue) -> None:
    def refuse() -> tuple[list[Record], list[FeedEntry]]:
        raise ValueError

    await catalogue.change(lambda: ([], []))
    with pytest.raises(ValueError, match=r"^$"):
        await catalogue.change(refuse)
    assert catalogue.version == 0


async def test_subscriptions_are_found_by_tenant_and_type_and_gone_when_they_are_deleted(
    catalogue: Catalogue, codec: SubscriptionCodec
) -> None:
    orders, everything, disabled = (
        made(codec, event_types=["order.*"]),
        made(codec),
        made(codec, event_types=["user.deleted"], enabled=False),
    )
    theirs = made(codec, "other")
    await add(catalogue, *map(codec.encode, (orders, everything, disabled, theirs)))
    found = {kind: {s.id for s in catalogue.subscribed("acme", kind)} for kind in ("order.paid", "user.deleted")}
    assert found == {"order.paid": {orders.id, everything.id}, "user.deleted": {everything.id, disabled.id}}
    assert [s.id for s in catalogue.subscribed("other", "order.paid")] == [theirs.id]
    assert {s.id for s in catalogue.every_subscription()} == {orders.id, everything.id, disabled.id, theirs.id}
    await add(catalogue, Record("subscription", "acme", orders.id, None))
    assert {s.id for s in catalogue.subscribed("acme", "order.paid")} == {everything.id}
    assert catalogue.subscription(orders.id) is None
    assert orders.id not in catalogue.subscriptions("acme")


async def test_watchers_hear_of_every_subscription_that_any_process_changes(
    catalogue: Catalogue, codec: SubscriptionCodec, store: Store
) -> None:
    elsewhere = Catalogue(store.records, codec.decode)
    heard: list[str] = []
    elsewhere.watch(heard.append)
    one = made(codec)
    await add(catalogue, codec.encode(one))
    await elsewhere.refresh()
    await add(catalogue, Record("subscription", "acme", one.id, None), tenant("acme"))
    await elsewhere.refresh()
    assert heard == [one.id, one.id]


async def test_event_types_and_fingerprints_are_kept_by_their_names(catalogue: Catalogue) -> None:
    kind = Record("event_type", "acme", "stock.low", b'{"type": "stock.low", "schema": {"type": "object"}}')
    await add(catalogue, kind, Record("secret", "", "secret_key", orjson.dumps({"fingerprint": "f"})))
    found = catalogue.event_type("acme", "stock.low")
    assert found is not None
    assert found.validator is not None
    assert list(catalogue.event_types("acme")) == [found]
    assert (catalogue.event_type("other", "stock.low"), list(catalogue.event_types("other"))) == (None, [])
    assert catalogue.fingerprint("secret_key") == "f"


async def test_records_that_cannot_be_read_hide_nothing_and_are_counted(
    catalogue: Catalogue, codec: SubscriptionCodec
) -> None:
    one, key = made(codec), b'{"id": "key_1", "tenant": "acme", "name": 7}'
    unread = [
        Record("tenant", "odd", "odd", b"{}"),
        Record("key", "acme", "key_1", key),
        Record("event_type", "acme", "stock.low", b"[]"),
        Record("secret", "", "other", b"1"),
        replace(codec.encode(one), id="sub_odd", doc=b"{}"),
        Record("quota", "acme", "q", b"{}"),  # type: ignore[arg-type] # a kind of a newer version
    ]
    with capture_logs() as lines:
        await add(catalogue, *unread, tenant("acme"), codec.encode(one))
        await add(catalogue, *unread)
    assert sorted((line["event"], line["kind"], line["id"]) for line in lines) == [
        ("stored.unreadable", "event_type", "stock.low"),
        ("stored.unreadable", "key", "key_1"),
        ("stored.unreadable", "secret", "other"),
        ("stored.unreadable", "subscription", "sub_odd"),
        ("stored.unreadable", "tenant", "odd"),
    ]
    assert ([*catalogue.tenants], catalogue.subscription(one.id) is not None) == (["acme"], True)
    assert catalogue.count_passed_over() == {"tenant": 1, "key": 1, "event_type": 1, "secret": 1}
    assert [s.id for s in catalogue.subscribed("acme", "a.b")] == [one.id]
    assert catalogue.subscription("sub_odd") is not None
    with pytest.raises(Conflict):
        catalogue.refuse_passed_over("event_type", "stock.low", "acme")
    catalogue.refuse_passed_over("event_type", "stock.low", "other")
    await add(catalogue, tenant("odd"), Record("key", "acme", "key_1", None))
    assert catalogue.count_passed_over() == {"event_type": 1, "secret": 1}


async def test_what_was_known_of_a_record_counts_no_more_once_its_new_form_cannot_be_read(catalogue: Catalogue) -> None:
    await add(catalogue, tenant("acme"))
    await add(catalogue, Record("tenant", "acme", "acme", b"{}"))
    assert catalogue.tenants == {}


async def test_a_store_that_came_back_older_is_followed_and_what_was_lost_is_told(
    catalogue: Catalogue, codec: SubscriptionCodec, clock: ManualClock
) -> None:
    one = made(codec)
    await add(catalogue, tenant("acme"), codec.encode(one))
    heard: list[str] = []
    catalogue.watch(heard.append)
    catalogue._records = ForgetfulRecords()
    with capture_logs() as lines:
        await catalogue.refresh()
    assert [line["event"] for line in lines] == ["catalogue.rolled_back"]
    assert (catalogue.version, catalogue.tenants, catalogue.subscription(one.id)) == (0, {}, None)
    assert heard == [one.id]
