"""The listening socket of the HTTP server, with the options that uvicorn does not set."""

import socket

BACKLOG = 2_048
"""Connections that may wait to be accepted, as when thousands of listeners reconnect at once."""
STUCK_SECONDS = 20
"""How long sent data may stay unacknowledged, or the receive window closed, before the kernel drops the connection."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound, listening TCP socket. An empty host or `::` accepts IPv6 and IPv4; port 0 takes a free one.

    Raises `OSError` when the address is unknown, taken or not allowed.
    """
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - asked for by the operator
    found = socket.getaddrinfo(host or everywhere, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        # A restarted hub must not wait until the kernel has forgotten the connections of the one before.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Accepted connections inherit it (tcp(7)). Without it, a client that stopped reading would hold its
            # descriptor as long as the kernel goes on probing, although the response was given up.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_SECONDS * 1000)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
