"""The command finds what is wrong and shows no secret."""

import subprocess
from pathlib import Path

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.serving import HUB, surroundings


@pytest.mark.parametrize(
    "store",
    ["redis://hub:canary@127.0.0.1:1/0", "redis://:can/canary@127.0.0.1:1", "rediss://127.0.0.1:1?ssl_password=canary"],
)
def test_the_password_of_the_store_is_not_shown(store: str, tmp_path: Path) -> None:
    environment = surroundings(HUB_STORE_URL=store, HUB_DATA_DIR=str(tmp_path), HUB_PORT="0")
    said = subprocess.run(
        [HUB, "doctor", "--json", "--url", "http://127.0.0.1:1"],
        env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert "127.0.0.1:1" in said.stdout
    assert "canary" not in said.stdout + said.stderr
