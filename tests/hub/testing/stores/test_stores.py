"""The conformance suite as a third party runs it: with a store of its own and the test file of the guide."""

from collections import Counter
from pathlib import Path

import pytest

from hub.testing import stores
from hub.testing.stores import SharedStoreConformance, StoreConformance
from tests.hub.testing.my_package import TIME_LIMIT, code_blocks, install, run_pytest

(TEST_FILE,) = code_blocks("add-a-store.md")
STORE = '''\
"""A store of a third party, which keeps everything in a file of SQLite."""

import dataclasses
import time
from contextlib import asynccontextmanager

from hub.stores import open_store


class Port:
    """A port of the store, some of whose methods are replaced."""

    def __init__(self, port):
        self._port = port

    def __getattr__(self, name):
        return getattr(self._port, name)


class TicketsOfAll(Port):
    async def replace(self, digest, former, kept, expires_at):
        return await self._port.replace(digest, await self._port.find(digest) or former, kept, expires_at)


class ArchiveOfAll(Port):
    async def event(self, tenant, event_id):
        return await self._port.event("ten_a", event_id)


@asynccontextmanager
async def open_pigeon_store(path, clock):
    async with open_store(f"sqlite:///{path}", clock) as store:
        yield store
'''
BROKEN = {
    "gives_one_ticket_to_many": (
        ("yield store", "yield dataclasses.replace(store, tickets=TicketsOfAll(store.tickets))"),
        "test_a_ticket_is_replaced_only_where_it_is_what_the_caller_knows",
    ),
    "mixes_tenants": (
        ("yield store", "yield dataclasses.replace(store, archive=ArchiveOfAll(store.archive))"),
        "test_what_belongs_to_another_tenant_does_not_exist",
    ),
    "forgets": (("{path}", "{path}-{time.monotonic_ns()}"), "test_what_was_accepted_survives_a_restart"),
}
"""What of the store is replaced, and the test that finds it."""


def suites() -> list[type]:
    """The classes of the suite."""
    return [
        one
        for name in stores.__all__
        if name.endswith("Conformance") and isinstance(one := getattr(stores, name), type)
    ]


def test_the_suite_of_one_process_is_all_classes_but_that_of_shared_stores() -> None:
    assert set(StoreConformance.__bases__) == {*suites()} - {StoreConformance, SharedStoreConformance}


def test_no_test_of_one_class_hides_that_of_another() -> None:
    names = Counter(name for suite in suites() for name in vars(suite) if name.startswith("test_"))
    assert names.total() > 150
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.process
def test_a_store_that_keeps_every_promise_passes_the_test_file_of_the_guide(tmp_path: Path) -> None:
    install(tmp_path, {"store": STORE})
    run = run_pytest(tmp_path, {"test_store": TEST_FILE})
    assert run.failed == set(), run.text
    assert run.passed > 150, run.text


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.process
def test_stores_that_break_a_promise_are_found(tmp_path: Path) -> None:
    stores = {name: STORE.replace(*change) for name, (change, _) in BROKEN.items()}
    install(tmp_path, stores)
    files = {f"test_{name}": TEST_FILE.replace("my_package.store", f"my_package.{name}") for name in stores}
    run = run_pytest(tmp_path, files, "-k", " or ".join(test for _, test in BROKEN.values()))
    assert run.failed == {(f"test_{name}", test) for name, (_, test) in BROKEN.items()}, run.text
    assert run.passed == len(BROKEN) * (len(BROKEN) - 1), run.text
    # The assertions are rewritten: they show what was there.
    assert "assert not True" in run.text
