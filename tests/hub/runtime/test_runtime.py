"""Opening the hub: what the first start makes, and what a start refuses."""

from pathlib import Path

import pytest

from hub.errors import HubError
from hub.runtime import open_process
from hub.settings import Settings
from hub.telemetry.tracing import Tracing
from tests.api_support import open_api, settings_for


async def test_the_first_start_makes_secrets_that_only_the_owner_may_read(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    for _ in range(2):
        async with open_process(settings, Tracing("")) as process:
            admin = (tmp_path / "var" / "admin.key").read_text().strip()
            assert process.services is not None
            assert process.services.keys.identify(admin).is_operator
    for name in ("admin.key", "secret.key"):
        path = tmp_path / "var" / name
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(path.read_text().strip()) >= 43
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


async def test_a_start_with_another_secret_key_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path)) as api:
        await api.subscribe(channel="webhook", target={"url": "https://example.com/hooks"})
    other = settings_for(tmp_path, secret_key="another-key-of-more-than-32-characters")
    with pytest.raises(HubError, match="HUB_SECRET_KEY"):
        async with open_api(other):
            pass


async def test_a_wrong_option_of_a_channel_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="HUB_FILE_KEEP"):
        async with open_api(settings_for(tmp_path, channel_options={"file_keep": "0"})):
            pass
