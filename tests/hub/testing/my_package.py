"""The package of a third party: made of the guides' own text, installed, and tested with pytest in its own process."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
TIME_LIMIT = 300
"""Of a test that runs pytest, in seconds: on a busy machine the whole suite takes longer than a test may otherwise."""
# pytest-asyncio warns where the scope is not set, before any test runs.
CONFIGURATION = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"


class Run(NamedTuple):
    """What pytest printed, how many tests passed, and which failed, as `{("test_file", "test_name[id]")}`."""

    text: str
    passed: int
    failed: set[tuple[str, str]]


def code_blocks(guide: str) -> list[str]:
    """The Python code in a guide, block by block."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/guides" / guide).read_text(), re.MULTILINE | re.DOTALL)


def install(directory: Path, modules: Mapping[str, str], entry_points: str = "") -> None:
    """Write what an installer leaves of `my_package`."""
    package, info = directory / "my_package", directory / "my_package-1.0.dist-info"
    for folder in (package, info):
        folder.mkdir()
    (package / "__init__.py").touch()
    for name, source in modules.items():
        (package / f"{name}.py").write_text(source)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def run_pytest(directory: Path, files: Mapping[str, str], *arguments: str) -> Run:
    """Run test files beside the package. Errors of fixtures and of the collection count as failures."""
    for name, source in files.items():
        (directory / f"{name}.py").write_text(source)
    (directory / "pytest.ini").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "pytest", "--color=no", "-p", "no:cacheprovider", "-rfE", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "HUB_"))}
    done = subprocess.run(
        [*command, f"--basetemp={directory / 'temp'}"],
        cwd=directory,
        env={**environment, "COLUMNS": "400", "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT - 20,
    )
    text = done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", text)
    failed = re.findall(r"^(?:FAILED|ERROR) (\w+)\.py(?:::\w+::(\S+))?", text, re.MULTILINE)
    return Run(text, int(passed[1]) if passed else 0, set(failed))
