"""What tests of parts share: a clock that stands still, a store on disk that goes by it, a hub over both,
and processes that would lead."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.stores import open_store
from hub.stores.base import Store
from hub.stores.process import ProcessLeases
from hub.testing.clock import ManualClock
from tests.api_support import Api, open_api, settings_for
from tests.hub.cluster.candidates import Candidate, two_candidates


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path}/hub.db", clock) as store:
        yield store


@pytest.fixture
def leases(clock: ManualClock) -> ProcessLeases:
    return ProcessLeases(clock)


@pytest.fixture
async def candidates(leases: ProcessLeases, clock: ManualClock) -> AsyncIterator[list[Candidate]]:
    async with two_candidates(leases, clock) as candidates:
        yield candidates


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(settings_for(tmp_path)) as api:
        yield api


@pytest.fixture
async def unswept(api: Api) -> None:
    """No housekeeping: its sweeps would find the work that nobody was told of."""
    await api.services.housekeeping.stop(0)
