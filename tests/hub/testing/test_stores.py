"""The conformance suite as a third party runs it: with a store of its own and the test file of the guide."""

from pathlib import Path

import pytest

from hub.testing.stores import StoreConformance
from tests.hub.testing.my_package import code_blocks, install, run_pytest

(TEST_FILE,) = code_blocks("add-a-store.md")
STORE = '''\
"""A store of a third party, which keeps everything in a file of SQLite."""

import dataclasses
from contextlib import asynccontextmanager

from hub.stores import open_store


@asynccontextmanager
async def open_pigeon_store(path, clock):
    async with open_store(f"sqlite:///{path}", clock) as store:
        yield store
'''
FORGETS_NOTHING = """

class Remembered(type(store.tickets)):
    pass
"""


@pytest.mark.process
def test_a_store_that_keeps_every_promise_passes_by_the_test_file_of_the_guide(tmp_path: Path) -> None:
    install(tmp_path, {"store": STORE})
    run = run_pytest(tmp_path, TEST_FILE)
    assert run.counts.keys() == {"passed"}, run.text
    assert run.counts["passed"] > 150
