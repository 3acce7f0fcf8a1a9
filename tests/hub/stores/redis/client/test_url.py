"""The URLs of a Redis store."""

import pytest

from hub.clock import SystemClock
from hub.errors import HubError
from hub.stores import open_store
from hub.stores.redis.client.url import read_address


def test_a_plain_address_names_a_host_a_port_a_database_and_a_prefix() -> None:
    address = read_address("redis://db.example:7000/3?prefix=shop")
    assert (address.nodes, address.prefix, address.tls) == ((("db.example", 7000),), "shop", False)
    assert address.options == {"db": 3}


def test_what_is_left_out_has_a_default() -> None:
    address = read_address("redis://db.example")
    assert (address.nodes, address.prefix, address.options) == ((("db.example", 6379),), "hub", {})


@pytest.mark.parametrize(
    ("identity", "options"),
    [
        ("ann:p%40ss%2Fword@", {"username": "ann", "password": "p@ss/word"}),
        (":secret@", {"password": "secret"}),
        ("ann:a:b@", {"username": "ann", "password": "a:b"}),
        ("", {}),
    ],
)
def test_who_one_is_there_is_decoded(identity: str, options: dict[str, str]) -> None:
    assert read_address(f"redis://{identity}db.example:6379/0").options == options


def test_an_address_of_six_groups_stands_in_brackets() -> None:
    assert read_address("redis+cluster://[::1]:7000,[2001:db8::2]").nodes == (("::1", 7000), ("2001:db8::2", 6379))


def test_options_of_tls_are_the_connections() -> None:
    address = read_address("rediss://db.example?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=false")
    assert address.tls
    assert address.options == {"ssl_ca_certs": "/etc/ca.pem", "ssl_check_hostname": False}


def test_sentinels_name_a_service_and_have_an_identity_of_their_own() -> None:
    address = read_address(
        "redis+sentinel://:secret@one,two:26380/primary/2?ssl=true&sentinel_username=s&sentinel_password=own"
    )
    assert (address.nodes, address.service, address.tls) == ((("one", 26379), ("two", 26380)), "primary", True)
    assert address.options == {"password": "secret", "db": 2}
    assert address.sentinel_options == {"username": "s", "password": "own"}


@pytest.mark.parametrize(
    ("scheme", "rest", "why"),
    [
        ("redis", "", "not a URL"),
        ("redis", "db.example:port", "not a URL"),
        ("redis", "one,two", "several hosts"),
        ("redis", "db.example/zero", "number of the database"),
        ("redis", "db.example/0/1", "number of the database"),
        ("redis", "db.example?prefix=a{b}", "prefix takes"),
        ("redis", "db.example?prefix=", "prefix takes"),
        ("redis", "db.example?ssl_ca_certs=x", "need rediss://"),
        ("redis", "db.example?ssl=true", "rediss://"),
        ("rediss", "db.example?ssl_check_hostname=perhaps", "true or false"),
        ("redis", "db.example?decode_responses=true", "does not have the option 'decode_responses'"),
        ("redis", "db.example?sentinel_password=x", "does not have the option"),
        ("redis+sentinel", "one,two", "name of the service"),
        ("redis+cluster", "one/1", "no numbered databases"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_repeating_what_may_be_secret(
    scheme: str, rest: str, why: str
) -> None:
    with pytest.raises(HubError) as refused:
        read_address(f"{scheme}://ann:canary@{rest}")
    assert why in refused.value.detail
    assert "canary" not in refused.value.detail


async def test_an_address_of_another_scheme_is_refused_naming_those_that_are_known() -> None:
    with pytest.raises(HubError, match=r"redis\+cluster://"):
        open_store("postgres://db.example", SystemClock())


def test_the_text_of_an_address_shows_no_password() -> None:
    address = read_address("redis+sentinel://ann:canary@one/primary?sentinel_password=canary")
    assert "canary" not in repr(address)
