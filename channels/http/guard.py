"""Which addresses a target may have: public unicast ones, and those the operator allows."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import AddrInfoType

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_UNICAST_V6 = IPv6Network("2000::/3")
"""What IANA gives out as global unicast; all else is reserved or special."""

_SPECIAL = tuple(
    ip_network(network)
    for network in (
        "100.64.0.0/10",  # shared by carriers, RFC 6598
        "168.63.129.16/32",  # Azure's host agent, which answers from every virtual network
        "192.0.0.0/24",  # protocol assignments, RFC 6890; Oracle's metadata service among them
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "2001::/23",  # protocol assignments, RFC 2928; Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries any IPv4 address
        "2620:4f:8000::/48",  # AS112, answered by whoever is nearest, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)


class AddressRefused(OSError):
    """A connection that was not made because of where it would have led. Its text names no address."""

    def __init__(self) -> None:
        super().__init__("the address is not public; HUB_ALLOW_PRIVATE_TARGETS can allow it")


def is_public(address: Address) -> bool:
    """Whether anyone on the internet may be meant; an IPv4 address in IPv6 clothes is judged as what it is.

    `ipaddress.is_global` follows the IANA registries of each Python's day and lets through transition mechanisms,
    multicast and addresses of cloud hosts, so it is one condition of several.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _UNICAST_V6 or address.scope_id is not None:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _SPECIAL)


class Guard:
    """Judges addresses at the moment of connecting, the only one at which they are sure."""

    def __init__(self, allow: Iterable[Network] = ()) -> None:
        self._allow = tuple(allow)

    def allows(self, host: str) -> bool:
        """Whether a connection to this numeric address may be made; false for all that is no address."""
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return is_public(address) or any(address in network for network in self._allow)

    def socket(self, info: AddrInfoType) -> socket.socket:
        """A socket to connect to `info` with, or `AddressRefused`; the gate that also numeric hosts must pass."""
        family, kind, protocol, _, sockaddr = info
        if not self.allows(str(sockaddr[0])):
            raise AddressRefused
        return socket.socket(family, kind, protocol)
