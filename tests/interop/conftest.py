"""The tools of other languages, as `make interop` installs them, and a hub to use them on."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.serving import ServedHub, serving, surroundings

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv/interop"
PROGRAMS = Path(__file__).parent

Run = Callable[..., str]
"""Runs a command of a language's tools in a directory, with `given` on standard input; gives standard output.
Raises `CalledProcessError`."""


def environment() -> dict[str, str]:
    """Only what was installed is used, and nothing is fetched."""
    go = {"GOPATH": str(TOOLS / "gopath"), "GOCACHE": str(TOOLS / "gocache"), "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    return surroundings(**go, PATH=f"{TOOLS / 'bin'}:{os.environ['PATH']}")


@pytest.fixture(scope="session")
def run() -> Run:
    def run(*command: str, cwd: Path, given: str = "", **settings: str) -> str:
        tool = TOOLS / "bin" / command[0]
        if not tool.exists():
            pytest.skip(f"{command[0]} is not installed: see what `make interop` said")
        done = subprocess.run(
            [tool, *command[1:]],
            cwd=cwd,
            env={**environment(), **settings},
            input=given,
            text=True,
            capture_output=True,
            check=False,
            timeout=4 * PATIENCE_SECONDS,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def typescript(tmp_path: Path) -> Path:
    """The programs in JavaScript and TypeScript, where they find their libraries."""
    modules = TOOLS / "typescript/node_modules"
    if not modules.exists():
        pytest.skip("the packages of npm are not installed: see what `make interop` said")
    shutil.copytree(PROGRAMS / "typescript", tmp_path / "typescript")
    (tmp_path / "typescript/node_modules").symlink_to(modules)
    return tmp_path / "typescript"


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The programs in Go, as one module."""
    shutil.copytree(PROGRAMS / "go", tmp_path / "go")
    return tmp_path / "go"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ServedHub]:
    with serving(tmp_path, HUB_ALLOW_PRIVATE_TARGETS="127.0.0.0/8") as hub:
        yield hub


@pytest.fixture
def settings(hub: ServedHub) -> Mapping[str, str]:
    """Where a client finds the hub."""
    return {"HUB_URL": hub.url, "HUB_KEY": hub.key}
