"""The package of a third party: made of the guides' own text, installed, and tested by it with pytest in a process."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
SECONDS = 100.0
"""Less than the time limit of a test, so that the test itself says what did not come."""


class Run(NamedTuple):
    """What pytest said, and how many tests ended in which way: `{"passed": 3, "failed": 1}`."""

    text: str
    counts: dict[str, int]


def code_blocks(guide: str) -> list[str]:
    """The Python code in a guide, block by block."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/guides" / guide).read_text(), re.MULTILINE | re.DOTALL)


def install(directory: Path, modules: dict[str, str], entry_points: str = "") -> None:
    """What an installer leaves of `my_package`."""
    package, info = directory / "my_package", directory / "my_package-1.0.dist-info"
    for folder in (package, info):
        folder.mkdir()
    (package / "__init__.py").touch()
    for name, source in modules.items():
        (package / f"{name}.py").write_text(source)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def run_pytest(directory: Path, test_file: str, *arguments: str) -> Run:
    """Run a test file beside the package, as pytest does where nothing is configured, with warnings as errors."""
    (directory / "test_mine.py").write_text(test_file)
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "HUB_"))}
    done = subprocess.run(
        [*command, f"--basetemp={directory / 'temp'}", "test_mine.py"],
        cwd=directory,
        env={**environment, "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    text = done.stdout + done.stderr
    return Run(text, {how: int(count) for count, how in re.findall(r"(\d+) (passed|failed|errors?|deselected)", text)})
