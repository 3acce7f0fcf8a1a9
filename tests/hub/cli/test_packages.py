"""Where another distribution has a package with the name of one of the hub's, the hub says so and how to live apart."""

import os
import subprocess
from pathlib import Path

import pytest

from hub.cli.packages import hidden, resolve
from hub.testing.patience import PATIENCE_SECONDS
from tests.serving import HUB, surroundings


def test_the_hubs_own_packages_are_found() -> None:
    assert [hidden("channels"), hidden("schedules")] == ["", ""]
    assert resolve("hub.clock:SystemClock").__name__ == "SystemClock"


def test_a_package_that_is_missing_is_told() -> None:
    assert hidden("no_such_package") == "The package `no_such_package` of the hub is not installed."


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["doctor"]])
def test_another_package_called_channels_is_one_clear_line(command: list[str], tmp_path: Path) -> None:
    # As `pip install channels` leaves it.
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "__init__.py").write_text('__version__ = "4.3.2"\n')
    info = tmp_path / "channels-4.3.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: channels\nVersion: 4.3.2\n")
    (info / "RECORD").write_text("channels/__init__.py,,\n")
    (info / "top_level.txt").write_text("channels\n")
    failed = subprocess.run(
        [HUB, *command],
        cwd=tmp_path, env=surroundings(PYTHONPATH=os.fspath(tmp_path)),
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    said = failed.stdout + failed.stderr
    assert failed.returncode == 1
    assert f"The package `channels` at {tmp_path / 'channels'} belongs to channels and hides the hub's own." in said
    assert "virtual environment of its own" in said
    assert "Traceback" not in said
