"""The command, run in this process, without the settings of the person who runs the tests."""

import sys
from pathlib import Path

import pytest

from hub.cli import main
from tests.hub.cli.commands import Hub, Ran


@pytest.fixture
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests takes part."""
    for name in ("HUB_URL", "HUB_KEY", "HUB_DATA_DIR", "HUB_CONFIG", "HUB_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hub(own_surroundings: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hub:
    """Runs the command as its entry point does."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["hub", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Ran(int(ended.value.code or 0), shown.out, shown.err)

    return run
