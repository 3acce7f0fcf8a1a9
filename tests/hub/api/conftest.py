"""A hub for each test of the REST surface."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api_support import Api, open_api, settings_for


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(settings_for(tmp_path)) as api:
        yield api


@pytest.fixture
async def unswept(api: Api) -> None:
    """No housekeeping: its sweeps would find the work that nobody was told of."""
    await api.services.housekeeping.stop(0)
