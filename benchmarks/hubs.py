"""Servers to measure: each a process that listens on a port of loopback, with what it cost so far."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import orjson

KEY = "benchmark-key-0123456789012345678901"
COMMAND = str(Path(sys.executable).with_name("hub"))
START_SECONDS = 20.0
STOP_SECONDS = 20.0
ORDER = {
    "order_id": "1001",
    "total": "99.90",
    "currency": "EUR",
    "customer": {"id": "c1", "name": "Ada Lovelace", "email": "ada@example.com"},
    "items": [{"sku": "SKU-1", "name": "Tea", "quantity": 2, "unit_price": "49.95"}],
}


class Server:
    """Runs when made. Raises `SystemExit` when it does not answer `ready`, a path, within some seconds."""

    def __init__(self, command: list[str], port: int, ready: str, **environment: str) -> None:
        self.port = port
        self._process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}{ready}").status_code < 500:
                    return
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline or self._process.poll() is not None:
                self._process.kill()
                raise SystemExit(f"did not start: {' '.join(command)}")
            time.sleep(0.05)

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    @property
    def resident_mb(self) -> float:
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(STOP_SECONDS)


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hub(role: str, port: int, directory: Path, **settings: str) -> Server:
    """One process of a hub in a role: `serve`, `web`, `worker` or `scheduler`. `settings` are by lower-case name."""
    given = {
        "admin_key": KEY,
        "secret_key": KEY,
        "data_dir": str(directory),
        "allow_private_targets": "127.0.0.0/8",
        "log_level": "warning",
        "port" if role in {"serve", "web"} else "health_port": str(port),
        **settings,
    }
    environment = {f"HUB_{name.upper()}": value for name, value in given.items()}
    return Server([COMMAND, role], port, "/readyz", **environment)


def subscribe(port: int, target: int, number: int) -> None:
    """Create `number` subscriptions to every order, all to the receiver at the port `target`."""
    for place in range(number):
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/subscriptions",
            headers={"Authorization": f"Bearer {KEY}"},
            json={
                "name": f"receiver {place}",
                "event_types": ["order.*"],
                "channel": "webhook",
                "target": {"url": f"http://127.0.0.1:{target}/hook/{place}"},
                "max_in_flight": 50,
            },
        )
        answer.raise_for_status()


def order(number: int) -> bytes:
    return orjson.dumps({"type": "order.created", "data": {**ORDER, "order_id": str(number)}})
