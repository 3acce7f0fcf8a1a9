"""Channels are opened with the operator's settings."""

from pathlib import Path

import pytest

from hub.errors import HubError
from tests.api_support import open_api, settings_for


async def test_a_wrong_option_of_a_channel_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="HUB_FILE_KEEP"):
        async with open_api(settings_for(tmp_path, channel_options={"file_keep": "0"})):
            pass
