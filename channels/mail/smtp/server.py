"""The address of a mail server, and a socket that is connected to it."""

import socket
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Literal
from urllib.parse import unquote, urlsplit

import aiohappyeyeballs

from channels.http import Guard, Resolver

_NEXT_ADDRESS_SECONDS = 0.25
"""A server's next address is tried beside the first when that one has not answered by then (RFC 8305, section 5)."""
# The operator names the server, and it may be anywhere.
_ANYWHERE = Guard([ip_network("0.0.0.0/0"), ip_network("::/0")])

Security = Literal["none", "starttls", "tls"]
_SCHEMES: dict[str, tuple[Security, int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The address of a mail server, and how to connect to it."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Read a URL: `smtp://`, `smtp+starttls://` or `smtps://`, an optional `user:password@`, the host, and an
        optional `:port`.

        Raises `ValueError`, also for a password that would cross a network unencrypted. The message does not repeat the
        URL.
        """
        try:
            parts = urlsplit(url)
            security, default_port = _SCHEMES[parts.scheme]
            host, port = parts.hostname, parts.port or default_port
        except (KeyError, ValueError):
            raise ValueError("HUB_SMTP_URL must be smtp://, smtp+starttls:// or smtps:// with host and port") from None
        if not host or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("HUB_SMTP_URL must contain a host, and nothing after the port")
        if parts.username and security == "none" and not _is_loopback(host):
            raise ValueError("HUB_SMTP_URL has a password, so it must be smtp+starttls:// or smtps://")
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(host, port, security, username, password)


class Dialler:
    """Connects to a server. The name is looked up on a thread of its own, for at most three seconds."""

    def __init__(self) -> None:
        self._resolver = Resolver(_ANYWHERE)

    async def connect(self, server: SmtpServer) -> socket.socket:
        """A connected socket that does not block. Raises `OSError`; the caller limits the time."""
        addresses = await self._resolver.resolve(server.host, server.port)
        return await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
