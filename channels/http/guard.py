"""The addresses that a target may have: public unicast addresses, and those that the operator allows."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohappyeyeballs import AddrInfoType

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_UNICAST_V6 = IPv6Network("2000::/3")
"""The block that IANA assigns as global unicast; everything else is reserved or special."""

_SPECIAL = tuple(
    ip_network(network)
    for network in (
        "100.64.0.0/10",  # shared by carriers behind NAT, RFC 6598
        "168.63.129.16/32",  # Azure's host agent, reachable from every virtual network
        "192.0.0.0/24",  # protocol assignments, RFC 6890; includes Oracle's metadata service
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "2001::/23",  # protocol assignments, RFC 2928; includes Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which can embed any IPv4 address
        "2620:4f:8000::/48",  # AS112, anycast to the nearest volunteer, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)


class AddressRefused(OSError):
    """A connection to an address that is not allowed. The text omits the address, which a tenant may not know."""

    def __init__(self) -> None:
        super().__init__("the address is not public; HUB_ALLOW_PRIVATE_TARGETS can allow it")


def is_public(address: Address) -> bool:
    """Whether the address is public unicast. An IPv4-mapped IPv6 address is judged by its IPv4 address.

    `ipaddress.is_global` alone is not enough: it follows the IANA registries as they were when that version of Python
    was released, and it accepts transition mechanisms, multicast and addresses of cloud hosts.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _UNICAST_V6 or address.scope_id is not None:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _SPECIAL)


class Guard:
    """Checks addresses at the moment of connecting: an earlier check could see another answer of the name server.

    Example:

        guard = Guard([ip_network("10.1.0.0/16")])
        guard.allows("10.1.2.3")  # True
        guard.allows("169.254.169.254")  # False
    """

    def __init__(self, allow: Iterable[Network] = ()) -> None:
        self._allow = tuple(allow)

    def allows(self, host: str) -> bool:
        """Whether connecting to this numeric address is allowed; false for text that is not an address."""
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return is_public(address) or any(address in network for network in self._allow)

    def socket(self, info: AddrInfoType) -> socket.socket:
        """A socket for connecting to `info`. Raises `AddressRefused`. Numeric hosts are checked only here."""
        family, kind, protocol, _, sockaddr = info
        if not self.allows(str(sockaddr[0])):
            raise AddressRefused
        return socket.socket(family, kind, protocol)
