"""The address of a store chooses the kind of store."""

import pytest

from hub.errors import HubError
from hub.stores import open_store
from tests.clock import ManualClock


async def refusal(url: str, clock: ManualClock) -> str:
    with pytest.raises(HubError) as refused:
        async with open_store(url, clock):
            pass
    return refused.value.detail


@pytest.mark.parametrize("url", ["", "hub.db", "mysql://localhost/hub", "sqlite:/hub.db"])
async def test_an_address_of_no_known_kind_is_refused_with_the_kinds_there_are(url: str, clock: ManualClock) -> None:
    assert "sqlite://" in await refusal(url, clock)
