"""The listening socket: both protocols, and options that accepted connections inherit."""

import errno
import os
import socket
from contextlib import closing

import pytest

from hub.server.sockets import STUCK_SECONDS, listening_socket
from hub.testing.patience import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("::1", "::1"),
        ("::", "::1"),
    ],
)
def test_it_takes_connections_at_its_address(host: str, client: str) -> None:
    with closing(listening_socket(host, 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection((client, port), timeout=PATIENCE_SECONDS):
            accepted, _ = listening.accept()
            accepted.close()


def test_accepted_connections_are_dropped_when_what_was_sent_is_not_taken() -> None:
    with (
        closing(listening_socket("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname(), timeout=PATIENCE_SECONDS),
        closing(listening.accept()[0]) as accepted,
    ):
        timeout = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert timeout == STUCK_SECONDS * 1000


def test_an_address_of_one_protocol_is_not_open_to_the_other() -> None:
    with closing(listening_socket("::1", 0)) as listening, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listening.getsockname()[1]), timeout=PATIENCE_SECONDS)


def test_a_taken_port_is_an_error_and_a_port_just_left_is_not() -> None:
    with closing(listening_socket("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            listening_socket("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS):
            accepted, _ = listening.accept()
            accepted.close()
    listening_socket("127.0.0.1", port).close()


def test_an_unknown_host_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        listening_socket("no-such-host.invalid", 0)
