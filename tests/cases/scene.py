"""What a case needs: a hub in a process of its own, a receiver that follows a script, a Redis, and the verdict."""

import contextlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

HUB = Path(sys.executable).with_name("hub")
REDIS = shutil.which("redis-server") or "/usr/bin/redis-server"
TMP = Path(tempfile.mkdtemp(prefix="hub-cases-"))
"""Where everything of this case is kept; `python -m tests.cases` removes it."""
KEY = "k" * 40
START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Hub:
    """`hub serve` on a data directory of its own; `c` is a client with the admin key."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self.data = Path(tempfile.mkdtemp(dir=TMP))
        self.port = free_port()
        settings = {
            "HUB_DATA_DIR": str(self.data),
            "HUB_PORT": str(self.port),
            "HUB_HOST": "127.0.0.1",
            "HUB_ALLOW_PRIVATE_TARGETS": "127.0.0.0/8",
            "HUB_ADMIN_KEY": KEY,
            "HUB_LOG_FORMAT": "json",
            **(env or {}),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        self.env = {**inherited, **settings}

    def __enter__(self) -> Self:
        with (self.data / "log").open("ab") as log:
            self.p = subprocess.Popen([HUB, "serve"], env=self.env, stderr=log, stdout=log, cwd=self.data)
        self.c = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=60
        )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > end or self.p.poll() is not None:
                raise SystemExit("the hub did not start: " + self.log()[-2_000:])
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.c.close()
        self.p.send_signal(signal.SIGTERM)
        try:
            self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()

    def log(self) -> str:
        return (self.data / "log").read_text()

    def sub(self, **members: Any) -> dict[str, Any]:
        """A new subscription, to everything by webhook unless `members` say otherwise."""
        spec = {"name": "s", "event_types": ["*"], "channel": "webhook", **members}
        made = self.c.post("/v1/subscriptions", json=spec)
        assert made.status_code == 201, made.text
        subscription: dict[str, Any] = made.json()
        return subscription

    def pub(self, type: str = "t.x", data: Any = None, **members: Any) -> str:
        """Publish one event, and give its id."""
        accepted = self.c.post("/v1/events", json={"type": type, "data": data or {}, **members})
        assert accepted.status_code == 202, accepted.text
        return str(accepted.json()["id"])

    def publish_until(self, stop: threading.Event, answers: list[tuple[float, int]]) -> None:
        """What another publisher sees: the seconds and the status of one small event after another."""
        with httpx.Client(base_url=self.c.base_url, headers=self.c.headers, timeout=120) as client:
            while not stop.is_set():
                begun = time.time()
                status = client.post("/v1/events", json={"type": "small.x", "data": {}}).status_code
                answers.append((time.time() - begun, status))
                time.sleep(0.05)

    def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.c.get("/v1/deliveries", params=query).raise_for_status().json()["items"]
        return items

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self.c.get("/livez").status_code == 200
        return False


class Arrival(NamedTuple):
    """One request. `at` is the time of day in seconds."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[str, Message, int], tuple[int, Mapping[str, str], float]]
"""The status, the headers and the delay in seconds of an answer, by path, headers and number of the request."""


class Receiver:
    """An HTTP server that answers by a script and keeps what it was sent in `seen`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[Arrival] = []

    def __enter__(self) -> Self:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                receiver.seen.append(Arrival(time.time(), self.path, dict(self.headers), body))
                status, headers, delay = receiver.script(self.path, self.headers, len(receiver.seen))
                if delay:
                    time.sleep(delay)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def redis_server(**settings: Any) -> Iterator[tuple[str, int]]:
    """The URL and the port of a Redis of its own."""
    directory, port = tempfile.mkdtemp(dir=TMP), free_port()
    given = {"port": port, "dir": directory, "appendonly": "yes", "save": "", "bind": "127.0.0.1", **settings}
    arguments = [part for name, value in given.items() for part in ("--" + name.replace("_", "-"), str(value))]
    process = subprocess.Popen([REDIS, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}", port
    finally:
        process.terminate()
        process.wait()


def verdict(name: str, holds: object, text: str) -> None:
    """Print whether the hub does as it should, and what was seen."""
    print("PASS" if holds else "FAIL", name, "-", text, flush=True)
