"""`/docs` in Chromium: its policy lets in all that the page needs, and the page shows every operation."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.serving import ServedHub

pytestmark = pytest.mark.interop

CHROMIUM = shutil.which("chromium")


def test_the_page_is_shown_whole_and_nothing_is_refused(hub: ServedHub, tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path / 'chromium'}", "--virtual-time-budget=20000", "--dump-dom"]
    shown = subprocess.run(
        [*command, f"{hub.url}/docs"], capture_output=True, text=True, check=True, timeout=2 * PATIENCE_SECONDS
    )
    assert re.findall(r".*(?:CONSOLE|Content Security Policy).*", shown.stderr) == []
    paths = set(re.findall(r'data-path="([^"]+)"', shown.stdout))
    assert {"/v1/events", "/v1/events/batch", "/v1/subscriptions/{subscription_id}", "/livez"} <= paths
