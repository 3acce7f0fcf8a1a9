import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import SendFailed
from channels.http import AddressRefused, Guard, deliver, open_client
from channels.http.guard import is_public
from hub.testing.receivers import Receiver

# The IANA special-purpose registries of IPv4 and IPv6, multicast, reserved space, and addresses of cloud hosts.
SPECIAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32", "169.254.169.254/32"),
    *("::/128", "::1/128", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23"),
    *("2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10"),
    *("fec0::/10", "ff00::/8", "fd00:ec2::254/128"),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "203.0.112.255", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"]

special_addresses = st.sampled_from(SPECIAL).map(ip_network).flatmap(lambda network: st.ip_addresses(network=network))


@given(special_addresses)
def test_no_address_of_a_special_range_is_public(address: IPv4Address | IPv6Address) -> None:
    assert not is_public(address)
    assert not Guard().allows(str(address))


@given(special_addresses.filter(lambda address: address.version == 4))
def test_an_ipv4_address_in_ipv6_clothes_is_what_it_is(address: IPv4Address) -> None:
    for clothes in (f"::ffff:{address}", f"::ffff:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}", f"::{address}"):
        assert not Guard().allows(clothes)
    assert not Guard().allows(f"64:ff9b::{address}")


@given(st.ip_addresses(v=6))
def test_outside_2000_3_only_mapped_public_addresses_pass(address: IPv6Address) -> None:
    if Guard().allows(str(address)):
        assert address in ip_network("2000::/3") or is_public(address.ipv4_mapped or ip_address("0.0.0.0"))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert Guard().allows(address)
    if ":" not in address:
        assert Guard().allows(f"::ffff:{address}")


@pytest.mark.parametrize("host", ["", "localhost", "127.1", "0x7f.1", "2130706433", "fe80::1%lo", "2a00::1%eth0", "x"])
def test_what_is_no_plain_address_is_refused(host: str) -> None:
    assert not Guard().allows(host)


def test_the_operator_can_allow_networks() -> None:
    guard = Guard([ip_network("10.1.0.0/16"), ip_network("fd00::/8")])
    assert guard.allows("10.1.2.3")
    assert guard.allows("::ffff:10.1.2.3")
    assert guard.allows("fd00::1")
    assert not guard.allows("10.2.0.1")
    assert not guard.allows("127.0.0.1")


@given(st.sampled_from(["10.0.0.1", "127.0.0.1", "169.254.169.254"]))
def test_no_socket_is_made_for_a_refused_address(host: str) -> None:
    with pytest.raises(AddressRefused):
        Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, 80)))


# Every way of writing 127.0.0.1 that some resolver or URL parser understands.
SPELLINGS = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0.0.1", "017700000001", "localhost"),
    *("127.0.0.1.", "localhost.", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]"),
    *("[::127.0.0.1]", "0", "0.0.0.0", "[::]", "１２７.０.０.１", "127。0。0。1", "①②⑦.0.0.1", "127.0.0.1%00"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_loopback_is_never_connected_to_however_it_is_written(spelling: str) -> None:
    async with Receiver() as receiver, open_client() as client:
        with pytest.raises((SendFailed, httpx.InvalidURL)):
            await deliver(client, httpx.Request("POST", f"http://{spelling}:{receiver.port}/"))
    assert receiver.requests == []


async def test_a_refused_literal_is_permanent_and_a_refused_name_is_not() -> None:
    async with open_client() as client:
        with pytest.raises(SendFailed, match="not public") as literal:
            await deliver(client, httpx.Request("POST", "http://127.0.0.1:9/"))
        with pytest.raises(SendFailed, match="not public") as name:
            await deliver(client, httpx.Request("POST", "http://localhost:9/"))
    assert literal.value.permanent
    assert not name.value.permanent
    assert "127.0.0.1" not in literal.value.detail
