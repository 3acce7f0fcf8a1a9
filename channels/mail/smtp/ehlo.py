"""The name with which the hub greets a mail server (RFC 5321, section 4.1.1.1)."""

import asyncio
import re
import socket
import threading
from asyncio import Future
from concurrent.futures import Future as ThreadFuture
from ipaddress import IPv6Address, ip_address

LOOKUP_SECONDS = 2.0
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9-]{1,63})*")
_LITERAL = re.compile(r"\[(?:IPv6:)?[0-9A-Fa-f:.]{2,45}\]")


class EhloName:
    """The name that the operator chose, or else the machine's full name, or else the address of the connection.

    Relays refuse names without a dot, such as `localhost` or the id of a container.
    """

    def __init__(self, chosen: str = "") -> None:
        """Raises `ValueError` when `chosen` is neither a domain nor an address literal such as `[192.0.2.1]`."""
        if chosen and not _DOMAIN.fullmatch(chosen) and not _LITERAL.fullmatch(chosen):
            raise ValueError("HUB_SMTP_EHLO_NAME must be a domain, or an address in brackets such as [192.0.2.1]")
        self._chosen = chosen
        self._found: Future[str] | None = None

    async def on(self, local_address: str) -> str:
        """The name for a connection from this numeric address."""
        if self._chosen:
            return self._chosen
        if self._found is None:
            self._found = _full_name()
        # The lookup asks name servers, which may take long. It goes on, and later connections get what it gives.
        await asyncio.wait({self._found}, timeout=LOOKUP_SECONDS)
        name = self._found.result() if self._found.done() else ""
        return name if _is_public_name(name) else _literal(local_address)


def _full_name() -> Future[str]:
    found: ThreadFuture[str] = ThreadFuture()
    # A daemon, so that a lookup never delays the end of the process.
    threading.Thread(target=_look_up, args=(found,), name="ehlo", daemon=True).start()
    return asyncio.wrap_future(found)


def _look_up(found: ThreadFuture[str]) -> None:
    try:
        found.set_result(socket.getfqdn())
    except UnicodeError:
        # A part of the machine's name is longer than name servers allow.
        found.set_result("")


def _is_public_name(name: str) -> bool:
    lower = name.lower()
    return "." in name and bool(_DOMAIN.fullmatch(name)) and not lower.startswith("localhost") and "arpa" not in lower


def _literal(address: str) -> str:
    """The address as RFC 5321, section 4.1.3, writes it, without the zone of a link-local one."""
    parsed = ip_address(address.partition("%")[0])
    return f"[IPv6:{parsed}]" if isinstance(parsed, IPv6Address) else f"[{parsed}]"
