"""What tests of parts share: a clock that stands still, and a store on disk that goes by it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.stores import open_store
from hub.stores.base import Store
from hub.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/hub.db", clock) as store:
        yield store
