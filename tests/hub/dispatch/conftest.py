"""For each test an open hub on a clock that tests move, or the parts of a dispatcher."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.stores.base import Store
from hub.testing.clock import ManualClock
from tests.api_support import Api, open_api, settings_for
from tests.hub.dispatch.parts import Parts, make_parts


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(settings_for(tmp_path)) as api:
        yield api


@pytest.fixture
def parts(store: Store, clock: ManualClock) -> Parts:
    return make_parts(store, clock)
