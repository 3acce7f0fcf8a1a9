"""`hub web`, `hub worker` and `hub scheduler`, each in a process of its own, as platforms and supervisors run them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from hub.cli.configuration import load, load_settings
from hub.cli.roles import with_platform_port
from hub.settings import Platform, Settings
from hub.testing.patience import PATIENCE_SECONDS
from tests.plain_http import NO_TLS
from tests.redis_servers import PROCFILE_PORTS, RedisServer, free_port, wait_until
from tests.serving import HUB, serving, surroundings

ROOT = Path(__file__).parents[3]
HONCHO = Path(sys.executable).with_name("honcho")


def run(*command: str, directory: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that is to end by itself."""
    return subprocess.run(
        [HUB, *command],
        cwd=directory,
        env=surroundings(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def children(pid: int) -> set[int]:
    """The processes that this one has started and that live."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    return {int(child) for child, state in zip(found[::2], found[1::2], strict=True) if not state.startswith("Z")}


ask = partial(httpx.get, timeout=PATIENCE_SECONDS, trust_env=False)


def answers(url: str) -> bool:
    try:
        return ask(url).is_success
    except httpx.TransportError:
        return False


def test_a_store_for_one_process_is_one_clear_line(tmp_path: Path) -> None:
    refused = run("worker", directory=tmp_path, HUB_PORT="0")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("hub: ")
    assert "hub serve" in refused.stderr
    assert "HUB_STORE_URL" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_wrong_setting_of_the_platform_is_one_clear_line(tmp_path: Path) -> None:
    refused = run("web", directory=tmp_path, PORT="many")
    assert (refused.returncode, refused.stderr.startswith("hub: A setting is wrong: PORT: ")) == (1, True)


def test_a_taken_health_port_is_one_clear_line(valkey: RedisServer, tmp_path: Path) -> None:
    refused = run("worker", "--health-port", str(valkey.port), directory=tmp_path, HUB_STORE_URL=valkey.url())
    why = "Address already in use; choose another --health-port or HUB_HEALTH_PORT."
    complaint = f"hub: Cannot listen on 127.0.0.1:{valkey.port}: {why}\n"
    assert (refused.returncode, refused.stderr) == (1, complaint)


@pytest.mark.parametrize("role", ["worker", "scheduler"])
def test_a_process_without_requests_says_how_it_is_and_ends_when_told(
    role: str, valkey: RedisServer, tmp_path: Path
) -> None:
    port = str(free_port())
    settings = {
        "HUB_STORE_URL": valkey.url(),
        "HUB_HEALTH_PORT": port,
        "PORT": str(valkey.port),
        "HUB_LOG_FORMAT": "json",
    }
    with serving(tmp_path, role, **settings) as process:
        assert process.url == f"http://127.0.0.1:{port}"
        assert ask(f"{process.url}/livez").json() == {"status": "ok"}
        assert ask(f"{process.url}/readyz").status_code == 200
        assert "hub_" in ask(f"{process.url}/metrics").text
        assert ask(f"{process.url}/v1/events").status_code == 404
        assert process.stop() in {0, -signal.SIGTERM}
        assert all(f'"role":"{role}"' in line for line in process.lines if line.startswith("{"))
        assert not (process.data_dir / "admin.key").exists()


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({}, ("127.0.0.1", 8_000)),
        ({"PORT": "5000"}, ("0.0.0.0", 5_000)),
        ({"PORT": "5000", "HUB_HOST": "10.0.0.1"}, ("10.0.0.1", 5_000)),
        ({"PORT": "5000", "HUB_PORT": "7000"}, ("127.0.0.1", 7_000)),
    ],
)
def test_web_listens_where_the_platform_says_unless_the_hubs_own_settings_say_otherwise(
    settings: dict[str, str], place: tuple[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in {*os.environ} - {*surroundings()}:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    placed = with_platform_port(load(Platform), load_settings())
    assert (placed.host, placed.port) == place


def test_several_web_processes_share_a_port_and_one_that_dies_is_replaced(valkey: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    settings = {"HUB_STORE_URL": valkey.url(), "PORT": str(port), "WEB_CONCURRENCY": "2"}
    with serving(tmp_path, "web", **settings) as web:
        assert web.url == f"http://0.0.0.0:{port}"
        assert len([line for line in web.lines if "serves" in line]) == 1
        first = children(web.process.pid)
        assert len(first) == 2
        os.kill(first.pop(), signal.SIGKILL)
        wait_until(lambda: len(children(web.process.pid)) == 2 and children(web.process.pid) != first)
        headers = {"Authorization": f"Bearer {web.key}"}
        for _ in range(10):
            assert ask(f"{web.url}/v1/events", headers=headers).status_code == 200
        kept = children(web.process.pid)
        assert web.stop() == -signal.SIGTERM
        assert not any(Path(f"/proc/{pid}").exists() for pid in kept)


def test_several_web_processes_that_cannot_start_end_with_one_clear_line(tmp_path: Path) -> None:
    refused = run("web", directory=tmp_path, PORT=str(free_port()), WEB_CONCURRENCY="2")
    assert refused.returncode == 1
    assert refused.stderr.count("hub serve") in {1, 2}
    assert "Traceback" not in refused.stderr


def test_serve_is_one_process_whatever_the_platform_says(tmp_path: Path) -> None:
    with serving(tmp_path, WEB_CONCURRENCY="3", PORT="1") as hub:
        assert hub.url.startswith("http://127.0.0.1:")
        assert children(hub.process.pid) == set()


def test_the_procfile_names_each_role() -> None:
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    assert {name: command.split()[:2] for name, command in lines.items()} == {
        role: ["hub", role] for role in ("web", "worker", "scheduler")
    }


@contextmanager
def honcho(directory: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The Procfile with two web processes, a worker and a scheduler, and the port of the first."""
    port = free_port(PROCFILE_PORTS)
    (directory / "Procfile").write_text((ROOT / "Procfile").read_text())
    path = f"{HUB.parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [HONCHO, "start", "-c", "web=2,worker=1,scheduler=1"],
        cwd=directory,
        env=surroundings(PATH=path, PORT=str(port), **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, port
    finally:
        # Told, and not killed, for it is honcho who ends the others.
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        assert process.stdout is not None
        process.stdout.close()


def test_honcho_runs_and_stops_the_procfile(valkey: RedisServer, tmp_path: Path) -> None:
    settings = {"HUB_STORE_URL": valkey.url(), "HUB_LOG_FORMAT": "json"}
    with honcho(tmp_path, **settings) as (process, port):
        wait_until(lambda: all(answers(f"http://127.0.0.1:{port + number}/livez") for number in (0, 1)))
        # honcho gives each kind of process ports of its own, so that every one can be scraped.
        wait_until(lambda: all(answers(f"http://127.0.0.1:{port + number}/metrics") for number in (100, 200)))
        key = (tmp_path / Settings().data_dir / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False) as client:
            one, other = (f"http://127.0.0.1:{port + number}" for number in (0, 1))
            spec = {"name": "log", "event_types": ["*"], "channel": "file", "target": {"name": "all"}}
            assert client.post(f"{one}/v1/subscriptions", json=spec).status_code == 201
            assert client.post(f"{other}/v1/events", json={"type": "stock.low", "data": 1}).status_code == 202
            written = tmp_path / Settings().data_dir / "files" / "default" / "all.jsonl"
            wait_until(written.exists)
            wait_until(lambda: client.get(f"{one}/readyz").json() == {"status": "ready"})
        process.terminate()
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    stopped = dict(re.findall(r"(\S+\.\d) stopped \(rc=(-?\d+)\)", said))
    assert stopped.keys() == {"web.1", "web.2", "worker.1", "scheduler.1"}
    assert set(stopped.values()) <= {"0", "-15", "143"}
