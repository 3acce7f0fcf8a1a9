"""Which tests run here, those that need something of the machine where it has it, and always in CI; and the servers
that all tests share."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.e2e.nginx import NGINX
from tests.redis_servers import REDIS_7, VALKEY, RedisCluster, RedisServer

# A shell that runs the tests in the background has them ignore this, and with them all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_PRIVILEGES = (
    ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /tmp"),
    ("strace", "-o", "/dev/null", "true"),
)
_NETWORK = (("unshare", "--net", "ip", "link", "add", "one", "type", "veth", "peer", "name", "two"),)


class _Need(NamedTuple):
    """What tests with a marker need: `met` tells whether the machine has it, `text` names it."""

    met: Callable[[], bool]
    text: str


def _granted(commands: tuple[tuple[str, ...], ...]) -> bool:
    if not all(shutil.which(command[0]) for command in commands):
        return False
    tries = [subprocess.run(command, check=False, capture_output=True) for command in commands]
    return all(tried.returncode == 0 for tried in tries)


_NEEDS = {
    "privileged": _Need(lambda: _granted(_PRIVILEGES), "strace, and the right to make a mount namespace"),
    "network": _Need(lambda: _granted(_NETWORK), "ip, and the right to make network namespaces"),
    "redis7": _Need(REDIS_7.exists, "redis-server"),
    "nginx": _Need(NGINX.exists, "nginx"),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need what this machine lacks, and say so."""
    if os.environ.get("CI"):
        return
    left_out: dict[str, str] = {}
    for marker, need in _NEEDS.items():
        marked = [item.nodeid for item in items if item.get_closest_marker(marker)]
        if marked and not need.met():
            left_out.update(dict.fromkeys(marked, need.text))
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]
        config.stash[_left_out] = left_out
        if hasattr(config, "workeroutput"):
            config.workeroutput["left_out"] = left_out


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Hear from a process of pytest-xdist what it left out; all leave out the same."""
    node.config.stash[_left_out] = getattr(node, "workeroutput", {}).get("left_out", {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, needed in config.stash.get(_left_out, {}).items():
        terminalreporter.write_line(f"not run: {name} needs {needed}")


_left_out = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Valkey that many tests share, each under a prefix of its own."""
    with RedisServer(VALKEY, tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def redis7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Debian's Redis, as `valkey`; what takes it is marked `redis7`."""
    with RedisServer(REDIS_7, tmp_path_factory.mktemp("redis7")) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three Valkeys that share the slots, as `valkey`."""
    with RedisCluster(VALKEY, tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes
