"""Which tests run here, those that need something of the machine where it has it, and always in CI; and the servers
that all tests share."""

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.nginx import NGINX
from tests.redis_servers import REDIS_7, VALKEY, RedisCluster, RedisServer
from tests.serving import ServedHub, serving

# A shell that runs the tests in the background has them ignore this, and with them all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# By default an example may take 200 ms, and so may making it: on a busy machine any can take longer. In CI the rest of
# the profile stays that of Hypothesis for CI, which tries the same examples each time.
settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_PRIVILEGES = (
    ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /tmp"),
    ("strace", "-o", "/dev/null", "true"),
)
_NETWORK = (("unshare", "--net", "ip", "link", "add", "one", "type", "veth", "peer", "name", "two"),)


class _Need(NamedTuple):
    """What tests with a marker need: `met` tells whether the machine has it, `text` names it."""

    met: Callable[[], bool]
    text: str
    package: str
    """What to install with Debian's apt-get."""


def _granted(commands: tuple[tuple[str, ...], ...]) -> bool:
    if not all(shutil.which(command[0]) for command in commands):
        return False
    tries = [subprocess.run(command, check=False, capture_output=True) for command in commands]
    return all(tried.returncode == 0 for tried in tries)


FAKETIME = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
PROMTOOL = Path(shutil.which("promtool") or "/usr/bin/promtool")
_NEEDS = {
    "privileged": _Need(lambda: _granted(_PRIVILEGES), "strace, and the right to make a mount namespace", "strace"),
    "network": _Need(lambda: _granted(_NETWORK), "ip, and the right to make network namespaces", "iproute2"),
    "redis7": _Need(REDIS_7.exists, "redis-server", "redis-server"),
    "faketime": _Need(lambda: bool(FAKETIME), "libfaketime", "faketime"),
    "nginx": _Need(NGINX.exists, "nginx", "nginx-light"),
    "promtool": _Need(PROMTOOL.exists, "promtool", "prometheus"),
}


_SERVERS = frozenset({"valkey", "redis7", "cluster"})
"""The fixtures of servers; as parameters of `url` they choose the store."""
_PROCESSES = ("tests/e2e/", "tests/faults/", "tests/releases/", "tests/examples/", "tests/interop/")
"""Folders whose tests start processes."""
_STARTERS = (subprocess, RedisServer, ServedHub, serving)
"""So do those of a module that imports one of these."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fast",
        action="store_true",
        help="run only the tests that start no process, on the embedded store",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two more than there are cores where tests wait for processes, which is half of what they do."""
    cores = len(os.sched_getaffinity(0))
    return cores if config.getoption("--fast") else cores + 2


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """In a fast run, do not even import what starts processes."""
    folder = f"{collection_path.relative_to(config.rootpath)}/"
    return True if config.getoption("--fast") and folder in _PROCESSES else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """From here on no test of a fast run can start a process, so that a new one of that kind must be marked.

    Not before: whether the machine has what some tests need is found out with processes.
    """
    is_controller = bool(session.config.getoption("numprocesses", None)) and not hasattr(session.config, "workerinput")
    if session.config.getoption("--fast") and not is_controller:
        sys.addaudithook(_refuse_processes)


def _refuse_processes(event: str, _args: tuple[object, ...]) -> None:
    if event in {"subprocess.Popen", "os.fork", "os.posix_spawn"}:
        raise RuntimeError("This test starts a process: mark it, or its module, with `pytest.mark.process`.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a fast run does not want, and what this machine lacks; in CI nothing is lacking."""
    if config.getoption("--fast"):
        _leave_out(config, items, {item.nodeid for item in items if _starts_process(item)})
    if os.environ.get("CI"):
        return
    left_out: dict[str, str] = {}
    for marker, need in _NEEDS.items():
        marked = [item.nodeid for item in items if item.get_closest_marker(marker)]
        if marked and not need.met():
            left_out.update(dict.fromkeys(marked, marker))
    if left_out:
        _leave_out(config, items, set(left_out))
        config.stash[_left_out] = left_out
        if hasattr(config, "workeroutput"):
            config.workeroutput["left_out"] = left_out


def _starts_process(item: pytest.Item) -> bool:
    chosen = getattr(item, "callspec", None)
    servers = _SERVERS & {*getattr(item, "fixturenames", ()), *(map(str, chosen.params.values()) if chosen else ())}
    names = vars(item.module).values() if isinstance(item, pytest.Function) else ()
    starters = any(name is starter for name in names for starter in _STARTERS)
    return bool(servers or starters or item.get_closest_marker("process"))


def _leave_out(config: pytest.Config, items: list[pytest.Item], ids: set[str]) -> None:
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in ids])
    items[:] = [item for item in items if item.nodeid not in ids]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Hear from a process of pytest-xdist what it left out; all leave out the same."""
    node.config.stash[_left_out] = getattr(node, "workeroutput", {}).get("left_out", {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in one line how many tests were left out, and what to install for them."""
    counts = Counter(config.stash.get(_left_out, {}).values())
    if counts:
        lacking = "; ".join(f"{count} need {_NEEDS[marker].text}" for marker, count in counts.items())
        packages = " ".join(_NEEDS[marker].package for marker in counts)
        terminalreporter.write_line(
            f"not run: {counts.total()} tests ({lacking}). On Debian: sudo apt-get install {packages}"
        )


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
