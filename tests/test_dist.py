"""What `make dist` builds has everything that an installation, or a build from source, needs."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hub", "channels", "schedules")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the source archive and the wheel."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return directory


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def files(*folders: str) -> set[str]:
    """The files of these folders of the tree, without what Python leaves behind."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_file_of_the_packages(dist: Path) -> None:
    with zipfile.ZipFile(dist / f"notification_hub-{version()}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
    assert {name for name in names if ".dist-info/" not in name} == files(*PACKAGES)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_source_archive_has_what_the_checks_need(dist: Path) -> None:
    with tarfile.open(dist / f"notification_hub-{version()}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = files(*PACKAGES, "tests", "examples", ".ci") | {"Makefile", "requirements-dev.lock", "CHANGELOG.md"}
    assert needed - names == set()
