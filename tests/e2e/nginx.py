"""nginx as the guide sets it up: its server block is read from the page; only ports, certificates and times differ."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from hub.testing.patience import PATIENCE_SECONDS
from tests.redis_servers import free_port

GUIDE = Path(__file__).parents[2] / "docs/guides/deploy.md"
NGINX = Path(shutil.which("nginx") or "/usr/sbin/nginx")
_MAIN = """
daemon off;
worker_processes 1;
{user}
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/hub.conf;
}}
"""


def server_block() -> str:
    """The file that the guide has its reader write."""
    return _blocks()[0]


def prefixed_block(*, cut_off: bool) -> str:
    """That file with the locations of a hub under a prefix, which nginx keeps or cuts off."""
    whole, locations = _blocks()
    if cut_off:
        locations = re.sub(r"http://hub; +# or (\S+;).*", r"\1", locations)
    return re.sub(r"    location / .*(?=    location @come_back)", lambda _: f"{locations}\n", whole, flags=re.DOTALL)


def _blocks() -> list[str]:
    return re.findall(r"```nginx\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def directive(name: str) -> str:
    """The value of a directive in the guide."""
    found = re.search(rf"^\s*{name}\s+([^;]+);", server_block(), re.MULTILINE)
    assert found is not None, name
    return found[1]


class Nginx:
    """nginx on a free port of loopback before web processes on other ports. A context manager.

    `changes` are directives that get another value than the guide's, such as shorter times. `block` takes the place of
    the guide's own.
    """

    def __init__(
        self, directory: Path, upstream: Sequence[int], changes: Mapping[str, str] | None = None, block: str = ""
    ) -> None:
        directory.mkdir()
        self.directory = directory
        self.authority = trustme.CA()
        self.port = free_port()
        self._write(upstream, changes or {}, block or server_block())

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def said(self) -> str:
        log = self.directory / "error.log"
        return log.read_text() if log.exists() else ""

    def check(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t`."""
        command = [str(NGINX), "-t", "-c", str(self.directory / "nginx.conf")]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        command = [str(NGINX), "-c", str(self.directory / "nginx.conf")]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert self._process.poll() is None, self.said()
                assert time.monotonic() < deadline, self.said()
                time.sleep(0.02)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def _write(self, upstream: Sequence[int], changes: Mapping[str, str], text: str) -> None:
        certificate = self.authority.issue_cert("127.0.0.1", "hub.example.com")
        certificate.private_key_and_cert_chain_pem.write_to_path(self.directory / "all.pem")
        ports = iter(upstream)
        text = re.sub(r"server 127\.0\.0\.1:\d+", lambda _: f"server 127.0.0.1:{next(ports)}", text)
        text = re.sub(r"listen \[::\]:443[^;]*;", "", text)
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.port} ")
        text = text.replace("/var/log/nginx/hub.log", str(self.directory / "access.log"))
        for name, value in {**changes, "ssl_certificate": self._pem, "ssl_certificate_key": self._pem}.items():
            text, count = re.subn(rf"^(\s*{name}\s+)[^;]+;", rf"\g<1>{value};", text, flags=re.MULTILINE)
            assert count, f"the guide sets no {name}"
        (self.directory / "hub.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        (self.directory / "nginx.conf").write_text(_MAIN.format(directory=self.directory, user=user))

    @property
    def _pem(self) -> str:
        return str(self.directory / "all.pem")
