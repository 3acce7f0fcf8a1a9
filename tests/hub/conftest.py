"""What tests of parts share: a clock that stands still, a store on disk that goes by it, and a hub over both."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.stores import open_store
from hub.stores.base import Store
from tests.api_support import Api, open_api, settings_for
from tests.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/hub.db", clock) as store:
        yield store


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(settings_for(tmp_path)) as api:
        yield api


@pytest.fixture
async def unswept(api: Api) -> None:
    """No housekeeping: its sweeps would find the work that nobody was told of."""
    await api.services.housekeeping.stop(0)
