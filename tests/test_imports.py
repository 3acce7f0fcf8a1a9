"""Who may import whom, as the contracts in `pyproject.toml` say; each contract is seen to bite on a doctored copy."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("hub", "channels", "schedules")


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the import linter on the packages in a directory."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=directory, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_module_imports_only_what_its_row_allows() -> None:
    checked = lint(ROOT)
    assert checked.returncode == 0, checked.stdout
    assert "5 kept, 0 broken" in checked.stdout


@pytest.mark.parametrize(
    ("module", "forbidden", "contract"),
    [
        ("channels/webhook.py", "hub.models", "Leaves never import the hub"),
        ("schedules/temp_files.py", "hub.clock", "Leaves never import the hub"),
        ("schedules/temp_files.py", "channels.base", "Leaves never import each other"),
        ("hub/catalogue/patterns.py", "hub.runtime", "Inside the hub, a module imports only from lower rows"),
        ("hub/publishing/publisher.py", "hub.api", "Inside the hub, a module imports only from lower rows"),
        (
            "hub/stores/redis/keyspace/codec.py",
            "hub.stores.redis.intake",
            "Inside the Redis store, ports rest on rooms",
        ),
        (
            "hub/stores/sqlite/database/writer.py",
            "hub.stores.sqlite.queue",
            "Inside the SQLite store, ports rest on rooms",
        ),
    ],
)
def test_an_import_against_the_rules_is_found(copy: Path, module: str, forbidden: str, contract: str) -> None:
    with (copy / module).open("a") as source:
        source.write(f"\nimport {forbidden}\n")
    checked = lint(copy)
    assert checked.returncode != 0
    assert f"{contract} BROKEN" in checked.stdout


def test_a_new_module_of_the_hub_must_be_given_a_row(copy: Path) -> None:
    (copy / "hub" / "newcomer.py").write_text('"""A module without a row."""\n')
    checked = lint(copy)
    assert checked.returncode != 0
    assert "newcomer" in checked.stdout
