"""The catalogue's documents are written as one, against a version, and every change can be read by version."""

import asyncio

import pytest

from hub.errors import StaleCatalogue
from hub.models import FeedEntry, FeedKind, Record
from hub.stores.base import Store
from hub.testing.stores.samples import OTHER, TENANT
from hub.testing.stores.suite import OpenStore, StoreSuite


def record(id_: str, doc: bytes | None = b"{}", tenant: str = TENANT) -> Record:
    return Record("subscription", tenant, id_, doc)


def shown(records: object) -> list[tuple[str, str, bytes | None, int]]:
    assert isinstance(records, list)
    return sorted((one.tenant, one.id, one.doc, one.version) for one in records)


class RecordsConformance(StoreSuite):
    """The port `Records`."""

    async def test_a_new_store_holds_nothing_at_version_zero(self, store: Store) -> None:
        assert await store.records.changes(0) == ([], 0)

    async def test_what_is_written_is_read_back_with_the_version_of_its_write(self, store: Store) -> None:
        first = await store.records.write([record("sub_1", b'{"a": 1.10}'), record("sub_1", b"{}", OTHER)])
        second = await store.records.write([record("sub_2")])
        assert second > first > 0
        records, version = await store.records.changes(0)
        assert version == second
        assert shown(records) == [
            (TENANT, "sub_1", b'{"a": 1.10}', first),
            (TENANT, "sub_2", b"{}", second),
            (OTHER, "sub_1", b"{}", first),
        ]

    async def test_the_kinds_are_apart(self, store: Store) -> None:
        await store.records.write([Record("key", TENANT, "one", b"1"), Record("tenant", TENANT, "one", b"2")])
        records, _ = await store.records.changes(0)
        assert sorted((one.kind, one.doc) for one in records) == [("key", b"1"), ("tenant", b"2")]

    async def test_changes_since_a_version_are_what_was_written_after_it_with_the_deletions(self, store: Store) -> None:
        first = await store.records.write([record("sub_1"), record("sub_2")])
        second = await store.records.write([record("sub_1", None)])
        third = await store.records.write([record("sub_3")])
        assert shown((await store.records.changes(first))[0]) == [
            (TENANT, "sub_1", None, second),
            (TENANT, "sub_3", b"{}", third),
        ]
        assert (await store.records.changes(third)) == ([], third)
        assert [one.id for one in (await store.records.changes(0))[0]] == ["sub_2", "sub_3"]

    async def test_the_version_does_not_go_back_when_the_last_write_was_a_deletion(self, opened: OpenStore) -> None:
        store = await opened.open()
        await store.records.write([record("sub_1")])
        version = await store.records.write([record("sub_1", None)])
        store = await opened.reopen()
        assert await store.records.changes(0) == ([], version)
        assert await store.records.write([record("sub_1")]) > version

    async def test_a_record_is_replaced_and_may_return_after_it_was_deleted(self, store: Store) -> None:
        await store.records.write([record("sub_1", b"1")])
        await store.records.write([record("sub_1", b"2")])
        assert [one.doc for one in (await store.records.changes(0))[0]] == [b"2"]
        await store.records.write([record("sub_1", None)])
        await store.records.write([record("sub_1", b"3")])
        assert [one.doc for one in (await store.records.changes(0))[0]] == [b"3"]

    async def test_a_write_against_another_version_is_stale_and_writes_nothing(self, store: Store) -> None:
        version = await store.records.write([record("sub_1", b"1")], expected=0)
        with pytest.raises(StaleCatalogue):
            await store.records.write([record("sub_1", b"2")], [FeedEntry(TENANT, FeedKind.GAP, b"{}")], expected=0)
        assert [one.doc for one in (await store.records.changes(0))[0]] == [b"1"]
        assert await store.feed.bounds() == (0, 0)
        assert await store.records.write([record("sub_1", b"2")], expected=version) > version

    async def test_of_fifty_parallel_writes_against_one_version_one_counts(self, store: Store) -> None:
        outcomes = await asyncio.gather(
            *(store.records.write([record("sub_1", str(n).encode())], expected=0) for n in range(50)),
            return_exceptions=True,
        )
        assert sum(isinstance(one, StaleCatalogue) for one in outcomes) == 49
        (winner,) = [n for n, one in enumerate(outcomes) if isinstance(one, int)]
        assert [one.doc for one in (await store.records.changes(0))[0]] == [str(winner).encode()]

    async def test_parallel_writes_get_a_version_each_and_none_is_lost(self, store: Store) -> None:
        versions = await asyncio.gather(*(store.records.write([record(f"sub_{n}")]) for n in range(50)))
        assert len(set(versions)) == 50
        records, version = await store.records.changes(0)
        assert version == max(versions)
        assert {one.id: one.version for one in records} == {f"sub_{n}": versions[n] for n in range(50)}

    async def test_the_version_of_a_given_record_is_ignored(self, store: Store) -> None:
        version = await store.records.write([Record("key", TENANT, "key_1", b"{}", version=99)])
        assert (await store.records.changes(0))[0][0].version == version
