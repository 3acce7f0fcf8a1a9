"""`make run` installs with uv where it is there, says what it does, and compiles nothing."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def uv(tmp_path: Path) -> Path:
    """A program that says that it is uv; make only prints what it would run."""
    path = tmp_path / "uv"
    path.write_text("#!/bin/sh\necho uv 0.13.9\n")
    path.chmod(0o755)
    return path


def plan(uv: Path) -> str:
    """What make would do in a fresh checkout."""
    command = ["make", "--dry-run", "--always-make", f"UV={uv}", "VENV=fresh", "fresh/run.stamp"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_uv_installs_where_it_is_there(uv: Path) -> None:
    steps = plan(uv)
    assert f"{uv} venv " in steps
    assert (
        f"{uv} pip install --python fresh/bin/python --only-binary :all: --require-hashes -r requirements.lock" in steps
    )
    assert "-m pip" not in steps


def test_pip_installs_otherwise_and_is_not_silent(tmp_path: Path) -> None:
    steps = plan(tmp_path / "none")
    assert "python3 -m venv fresh" in steps
    assert " install --only-binary :all: --require-hashes -r requirements.lock" in steps
    assert "--quiet" not in steps
    assert "Installing the locked requirements" in steps
