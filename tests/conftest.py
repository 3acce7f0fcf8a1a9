"""Which tests run here: those that need rights of the machine run where it grants them, and always in CI."""

import os
import shutil
import subprocess

import pytest

_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /tmp")
_TRACE = ("strace", "-o", "/dev/null", "true")


def _granted() -> bool:
    """Whether a mount namespace can be made and system calls can be traced."""
    if not all(shutil.which(command[0]) for command in (_NAMESPACE, _TRACE)):
        return False
    tries = [subprocess.run(command, check=False, capture_output=True) for command in (_NAMESPACE, _TRACE)]
    return all(tried.returncode == 0 for tried in tries)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the privileged tests out, and say so, where this machine does not let them run."""
    privileged = [item for item in items if item.get_closest_marker("privileged")]
    if not privileged or os.environ.get("CI") or _granted():
        return
    config.hook.pytest_deselected(items=privileged)
    items[:] = [item for item in items if item not in privileged]
    config.stash[_left_out] = [item.nodeid for item in privileged]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name in config.stash.get(_left_out, ()):
        terminalreporter.write_line(f"not run: {name} needs strace, and the right to make a mount namespace")


_left_out = pytest.StashKey[list[str]]()
