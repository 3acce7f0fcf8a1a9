import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from channels.base import SENDING_FOR, SendFailed
from channels.http import AddressRefused, Guard, deliver, open_client
from channels.http.resolver import TENANT_LOOKUPS, LookupFailed, Resolver
from hub.testing.channels import LOOPBACK
from hub.testing.patience import PATIENCE_SECONDS, patience
from hub.testing.receivers import Receiver

SILENT = "silent.example"


class NameServer:
    """Stands in for the C library's resolver: names with addresses, and names whose lookup hangs until the end."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.released = threading.Event()

    async def until_asked(self, times: int) -> None:
        """Return once so many lookups have begun."""
        async with patience():
            while len(self.asked) < times:
                await asyncio.sleep(0.001)

    def getaddrinfo(self, host: str, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host.endswith(SILENT):
            self.released.wait(PATIENCE_SECONDS)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
            for address in self.names[host]
        ]


@contextmanager
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    try:
        yield server
    finally:
        server.released.set()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    with name_server(monkeypatch) as server:
        yield server


async def test_a_name_gives_its_addresses_once_each(names: NameServer) -> None:
    names.names["a.example"] = ["1.1.1.1", "1.1.1.1", "2606:4700::1"]
    found = await Resolver(Guard()).resolve("a.example", 443)
    assert [place[:2] for *_, place in found] == [("1.1.1.1", 443), ("2606:4700::1", 443)]


async def test_one_private_answer_among_many_refuses_the_name(names: NameServer) -> None:
    names.names["a.example"] = ["1.1.1.1"] * 20 + ["10.0.0.1"]
    with pytest.raises(AddressRefused):
        await Resolver(Guard()).resolve("a.example")


async def test_a_private_answer_after_many_others_is_seen_too(names: NameServer) -> None:
    names.names["a.example"] = [f"1.1.1.{last}" for last in range(200)] + ["169.254.169.254"]
    with pytest.raises(AddressRefused):
        await Resolver(Guard()).resolve("a.example")


async def test_a_huge_answer_is_cut_to_a_few_addresses(names: NameServer) -> None:
    names.names["a.example"] = [f"1.1.1.{last}" for last in range(200)]
    assert len(await Resolver(Guard()).resolve("a.example")) == 8


async def test_a_name_that_moves_to_a_private_address_is_refused_at_its_next_connection(names: NameServer) -> None:
    resolver = Resolver(Guard())
    names.names["a.example"] = ["1.1.1.1"]
    await resolver.resolve("a.example")
    names.names["a.example"] = ["127.0.0.1"]
    with pytest.raises(AddressRefused):
        await resolver.resolve("a.example")


async def test_an_address_is_not_looked_up(names: NameServer) -> None:
    for address in ("1.1.1.1", "2606:4700::1"):
        assert [place[0] for *_, place in await Resolver(Guard()).resolve(address)] == [address]
    assert names.asked == []


async def test_an_unknown_name_may_be_tried_again(names: NameServer) -> None:
    async with open_client() as client:
        with pytest.raises(SendFailed, match="does not resolve") as caught:
            await deliver(client, httpx.Request("POST", "http://unknown.example/"))
    assert not caught.value.permanent


async def test_a_name_without_addresses_fails(names: NameServer) -> None:
    names.names["a.example"] = []
    with pytest.raises(LookupFailed):
        await Resolver(Guard()).resolve("a.example")


async def test_a_silent_name_server_is_given_up_on(names: NameServer) -> None:
    with pytest.raises(LookupFailed, match="in time"):
        await Resolver(Guard(), timeout=0.02).resolve(SILENT)


async def test_silent_lookups_hold_up_no_other_name(names: NameServer) -> None:
    names.names["a.example"] = ["127.0.0.1"]
    resolver = Resolver(Guard(LOOPBACK))
    silent = [asyncio.create_task(resolver.resolve(f"{n}.{SILENT}")) for n in range(40)]
    async with patience(), Receiver() as receiver:
        await asyncio.sleep(0)
        assert await resolver.resolve("a.example", receiver.port)
    for task in silent:
        task.cancel()
    await asyncio.gather(*silent, return_exceptions=True)


async def test_one_silent_name_takes_one_thread_however_many_ask(names: NameServer) -> None:
    resolver = Resolver(Guard(), timeout=0.02)
    outcomes = await asyncio.gather(*(resolver.resolve(SILENT) for _ in range(100)), return_exceptions=True)
    assert all(isinstance(outcome, LookupFailed) for outcome in outcomes)
    with pytest.raises(LookupFailed):
        await resolver.resolve(SILENT)
    await names.until_asked(1)
    assert names.asked == [SILENT]


async def test_the_lookups_of_a_tenant_wait_in_turn_and_leave_threads_to_the_others(names: NameServer) -> None:
    names.names["a.example"] = ["127.0.0.1"]
    resolver = Resolver(Guard(LOOPBACK), timeout=0.05)

    async def resolve(tenant: str, host: str) -> object:
        SENDING_FOR.set(tenant)
        return await resolver.resolve(host)

    silent = [asyncio.create_task(resolve("loud", f"{n}.{SILENT}")) for n in range(TENANT_LOOKUPS + 10)]
    waiting = asyncio.create_task(resolve("loud", "a.example"))
    await names.until_asked(TENANT_LOOKUPS)
    async with patience():
        assert await resolve("quiet", "a.example")
    assert len(names.asked) == TENANT_LOOKUPS + 1
    assert not waiting.done()
    names.released.set()
    async with patience():
        assert await waiting
        await asyncio.gather(*silent, return_exceptions=True)
    assert len(names.asked) == TENANT_LOOKUPS + 12


async def test_a_lookup_that_ends_after_its_asker_gave_up_leaves_nothing(names: NameServer) -> None:
    resolver = Resolver(Guard(), timeout=0.01)
    with pytest.raises(LookupFailed):
        await resolver.resolve(SILENT)
    names.names[SILENT] = ["1.1.1.1"]
    names.released.set()
    async with patience():
        await resolver._under_way[SILENT]
        await asyncio.sleep(0)
    assert resolver._under_way == {}


async def test_the_real_resolver_finds_localhost() -> None:
    async with Receiver() as receiver, open_client([ip_network("127.0.0.0/8"), ip_network("::1/128")]) as client:
        response = await deliver(client, httpx.Request("POST", f"http://localhost:{receiver.port}/"))
    assert response.status_code == 200
