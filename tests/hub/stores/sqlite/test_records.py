"""What the catalogue's refresh reads while others write."""

import asyncio

import apsw
import pytest

from hub.models import Record
from hub.stores.base import Store
from tests.hub.stores.samples import TENANT
from tests.patience import PATIENCE_SECONDS


def record(id_: str) -> Record:
    return Record("subscription", TENANT, id_, b"{}")


class WriteBefore:
    """Writes a record, whole and committed, at the moment at which the reader begins its `number`th statement."""

    def __init__(self, store: Store, number: int) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._number = number
        self._begun = 0

    def __call__(self, cursor: apsw.Cursor, statement: str, values: object) -> bool:
        self._begun += 1
        if self._begun == self._number:
            writing = self._store.records.write([record("sub_meanwhile")])
            asyncio.run_coroutine_threadsafe(writing, self._loop).result(PATIENCE_SECONDS)
        return True


@pytest.mark.parametrize("number", [1, 2])
async def test_a_record_that_is_written_while_changes_are_read_comes_now_or_with_the_next_refresh(
    store: Store, number: int
) -> None:
    since = await store.records.write([record("sub_before")])
    (reader,) = store.records._readers._connections  # type: ignore[attr-defined] # the moment lies between two statements
    reader.exec_trace = WriteBefore(store, number)
    first, version = await store.records.changes(since)
    reader.exec_trace = None
    then, _ = await store.records.changes(version)
    assert {one.id for one in [*first, *then]} == {"sub_meanwhile"}
