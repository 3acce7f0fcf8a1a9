"""Relays refuse to talk with a client whose name has no dot."""

import threading

import pytest

from channels.mail import EhloName
from channels.mail.smtp import ehlo


@pytest.mark.parametrize("chosen", ["relay.example.com", "localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
async def test_the_operators_choice_counts(chosen: str) -> None:
    assert await EhloName(chosen).on("192.0.2.7") == chosen


@pytest.mark.parametrize("chosen", ["a b", "a\r\nQUIT", "-", "a..b", "ü.example", "[x]", "<a>", "a" * 300])
def test_a_name_that_is_none_is_refused(chosen: str) -> None:
    with pytest.raises(ValueError, match="HUB_SMTP_EHLO_NAME"):
        EhloName(chosen)


@pytest.mark.parametrize(
    ("found", "address", "name"),
    [
        ("hub.example.com", "192.0.2.7", "hub.example.com"),
        ("3f2a9c", "192.0.2.7", "[192.0.2.7]"),
        ("localhost", "::1", "[IPv6:::1]"),
        ("localhost.localdomain", "192.0.2.7", "[192.0.2.7]"),
        ("7.2.0.192.in-addr.arpa", "192.0.2.7", "[192.0.2.7]"),
        ("my_host.example.com", "fe80::1%eth0", "[IPv6:fe80::1]"),
    ],
)
async def test_without_one_it_is_the_machines_name_or_its_address(
    monkeypatch: pytest.MonkeyPatch, found: str, address: str, name: str
) -> None:
    monkeypatch.setattr("socket.getfqdn", lambda: found)
    assert await EhloName().on(address) == name


async def test_a_machine_whose_name_cannot_be_looked_up_has_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise UnicodeError("label too long")

    monkeypatch.setattr("socket.getfqdn", refuse)
    assert await EhloName().on("192.0.2.7") == "[192.0.2.7]"


async def test_a_slow_name_service_delays_one_mail_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, lookups = threading.Event(), []

    def slow() -> str:
        lookups.append("")
        answered.wait()
        return "hub.example.com"

    monkeypatch.setattr("socket.getfqdn", slow)
    monkeypatch.setattr(ehlo, "LOOKUP_SECONDS", 0.01)
    name = EhloName()
    assert await name.on("192.0.2.7") == "[192.0.2.7]"
    answered.set()
    monkeypatch.setattr(ehlo, "LOOKUP_SECONDS", 60)
    assert await name.on("192.0.2.7") == "hub.example.com"
    assert len(lookups) == 1
