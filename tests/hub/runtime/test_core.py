"""What a start refuses, and says."""

from pathlib import Path

import pytest

from hub.cluster.roles import Role
from hub.errors import HubError
from tests.api_support import open_api, settings_for
from tests.hub.runtime.parts import Start, started


async def test_another_secret_key_is_refused_although_nothing_is_sealed_yet(start: Start) -> None:
    await start(Role.WEB)
    with pytest.raises(HubError, match="HUB_SECRET_KEY"):
        await start(Role.WORKER, secret_key="another-key-of-more-than-32-characters")


@pytest.mark.parametrize("role", Role)
async def test_a_store_for_one_process_is_for_every_role_at_once(role: Role, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="hub serve"):
        async with started(settings_for(tmp_path), role):
            pass


async def test_a_start_with_another_secret_key_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path)) as api:
        await api.subscribe(channel="webhook", target={"url": "https://example.com/hooks"})
    other = settings_for(tmp_path, secret_key="another-key-of-more-than-32-characters")
    with pytest.raises(HubError, match="HUB_SECRET_KEY"):
        async with open_api(other):
            pass
