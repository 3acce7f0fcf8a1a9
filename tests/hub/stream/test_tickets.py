"""A ticket opens one stream, within a minute, and re-opens that one only, for as long as its key and its time allow."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import orjson
import pytest
from pydantic import TypeAdapter

from hub.catalogue.keys import NewKey
from hub.catalogue.keys.model import Principal
from hub.errors import Forbidden, Unauthorized, Unavailable
from hub.models import Scope, Status
from hub.stores.base import Tickets
from hub.stream import Selection, StreamTickets
from hub.stream.tickets import LIFETIME, Connection
from hub.testing.patience import patience
from tests.api_support import Api

ALL = Selection()
ORDERS = Selection(("order.*",), statuses=frozenset({Status.DEAD, Status.PENDING}))
MINUTES = 60.0


@pytest.fixture
async def caller(api: Api) -> Principal:
    keys = api.services.keys
    return keys.identify((await keys.issue(NewKey(name="watcher", scopes=frozenset({Scope.READ})))).key)


@pytest.fixture
def office(api: Api) -> StreamTickets:
    return api.services.tickets


@asynccontextmanager
async def renewing(office: StreamTickets) -> AsyncIterator[None]:
    """As the process does in the background."""
    renewing = asyncio.create_task(office.renew())
    yield
    renewing.cancel()
    await asyncio.wait([renewing])


@pytest.fixture
async def another(api: Api) -> AsyncIterator[StreamTickets]:
    """The tickets of another process on the same store."""
    another = StreamTickets(api.store.tickets, api.services.keys, api.clock)
    async with renewing(another):
        yield another


async def endless() -> AsyncGenerator[bytes, None]:
    yield b"retry: 1\n"
    await asyncio.Event().wait()


@asynccontextmanager
async def connected(office: StreamTickets, connection: Connection) -> AsyncIterator[None]:
    """While its stream is read."""
    chunks = office.hold(connection, endless())
    assert await anext(chunks) == b"retry: 1\n"
    yield
    await chunks.aclose()


async def refused(office: StreamTickets, text: str, selection: Selection = ALL) -> bool:
    try:
        await office.open(text, selection)
    except Unauthorized:
        return True
    return False


async def test_a_ticket_stands_for_its_caller_and_again_at_each_break(office: StreamTickets, caller: Principal) -> None:
    ticket = await office.issue(caller)
    for _ in range(3):
        connection = await office.open(ticket.text, ORDERS)
        assert connection.caller == caller


async def test_it_re_opens_only_its_own_stream(office: StreamTickets, caller: Principal) -> None:
    ticket = await office.issue(caller)
    await office.open(ticket.text, ORDERS)
    same = Selection(("order.*",), statuses=frozenset({Status.PENDING, Status.DEAD}))
    await office.open(ticket.text, same)
    for other in (ALL, Selection(("order.*",)), Selection(("order.*", "user.*"), statuses=ORDERS.statuses)):
        with pytest.raises(Forbidden):
            await office.open(ticket.text, other)
    await office.open(ticket.text, same)


async def test_a_newer_connection_ends_the_older(
    office: StreamTickets, another: StreamTickets, api: Api, caller: Principal
) -> None:
    ticket = await office.issue(caller)
    first = await office.open(ticket.text, ALL)
    async with connected(office, first):
        second = await office.open(ticket.text, ALL)
        assert (office.is_current(first), office.is_current(second)) == (False, True)
    async with connected(office, second):
        third = await another.open(ticket.text, ALL)
        async with connected(another, third):
            await api.clock.elapse(6)
            async with patience():
                while office.is_current(second):
                    await asyncio.sleep(0.001)
            assert another.is_current(third)


async def test_of_many_connections_at_once_the_last_one_stays(
    office: StreamTickets, another: StreamTickets, caller: Principal
) -> None:
    ticket = await office.issue(caller)
    opened = await asyncio.gather(*(one.open(ticket.text, ALL) for one in (office, another) * 5))
    kept = [await office._tickets.find(connection.digest) for connection in opened]
    assert sum(connection.kept == now for connection, now in zip(opened, kept, strict=True)) == 1


async def test_it_has_to_be_opened_within_a_minute(office: StreamTickets, api: Api, caller: Principal) -> None:
    early, late = await office.issue(caller), await office.issue(caller)
    api.clock.advance(59.9)
    assert not await refused(office, early.text)
    api.clock.advance(0.1)
    assert await refused(office, late.text)
    assert not await refused(office, early.text)


async def test_it_dies_ten_minutes_after_its_last_connection_ended(
    office: StreamTickets, api: Api, caller: Principal
) -> None:
    ticket = await office.issue(caller)
    async with connected(office, await office.open(ticket.text, ALL)):
        for _ in range(6):
            await api.clock.elapse(4 * MINUTES)
            await settled(api)
        await api.clock.elapse(6)
        await settled(api)
    api.clock.advance(9.9 * MINUTES)
    assert not await refused(office, ticket.text)
    api.clock.advance(10 * MINUTES)
    assert await refused(office, ticket.text)


async def test_it_dies_after_twelve_hours_and_so_does_its_connection(
    office: StreamTickets, api: Api, caller: Principal
) -> None:
    ticket = await office.issue(caller)
    assert ticket.expires_at == api.clock.now() + LIFETIME
    connection = await office.open(ticket.text, ALL)
    for _ in range(79):
        api.clock.advance(9 * MINUTES)
        connection = await office.open(ticket.text, ALL)
    assert office.is_current(connection)
    api.clock.advance((ticket.expires_at - api.clock.now()).total_seconds())
    assert not office.is_current(connection)
    assert await refused(office, ticket.text)


async def test_it_dies_with_its_key(office: StreamTickets, api: Api, caller: Principal) -> None:
    keys = api.services.keys
    soon = api.clock.now() + timedelta(hours=1)
    new = NewKey.model_validate({"name": "brief", "scopes": ["read"], "expires_at": soon.isoformat()})
    brief = keys.identify((await keys.issue(new)).key)
    expiring, revoked = await office.issue(brief), await office.issue(caller)
    assert expiring.expires_at == soon
    connections = [await office.open(ticket.text, ALL) for ticket in (expiring, revoked)]
    assert all(map(office.is_current, connections))
    await keys.revoke(caller.key_id)
    assert await refused(office, revoked.text)
    api.clock.advance(9 * MINUTES)
    assert not await refused(office, expiring.text)
    api.clock.advance(51 * MINUTES)
    assert not any(map(office.is_current, connections))


@pytest.mark.parametrize("text", ["", "x", "é" * 50])
async def test_a_made_up_ticket_opens_nothing(office: StreamTickets, text: str) -> None:
    assert await refused(office, text)


async def test_tickets_are_unguessable_and_not_kept_in_clear(
    office: StreamTickets, api: Api, caller: Principal
) -> None:
    issued = {(await office.issue(caller)).text for _ in range(20)}
    assert len(issued) == 20
    assert all(len(text) >= 43 for text in issued)
    for text in issued:
        assert await api.store.tickets.find(text) is None


async def test_a_ticket_of_release_0_2_0_is_opened_and_re_opened(
    office: StreamTickets, api: Api, caller: Principal
) -> None:
    kept = TypeAdapter(Principal).dump_json(caller)
    ticket = await office.issue(caller)
    digest = (await office.open(ticket.text, ALL)).digest
    await api.store.tickets.put(digest, kept, 60.0)
    for _ in range(2):
        assert (await office.open(ticket.text, ORDERS)).caller == caller


async def test_release_0_2_0_reads_what_is_kept_of_a_ticket(office: StreamTickets, api: Api, caller: Principal) -> None:
    """During an upgrade, older processes take tickets of newer ones."""
    connection = await office.open((await office.issue(caller)).text, ALL)
    kept = await api.store.tickets.find(connection.digest)
    assert TypeAdapter(Principal).validate_json(kept or b"") == caller


async def test_what_only_a_newer_version_knows_of_a_ticket_stays_with_it(
    api: Api, office: StreamTickets, caller: Principal
) -> None:
    text = (await office.issue(caller)).text
    digest = hashlib.sha256(text.encode()).hexdigest()
    kept = orjson.loads(await api.store.tickets.find(digest) or b"")
    newer = {**kept, "scopes": [*kept["scopes"], "of-a-newer-version"], "zone": "eu"}
    await api.store.tickets.put(digest, orjson.dumps(newer), MINUTES)
    for _ in range(2):
        assert (await office.open(text, ALL)).caller == caller
    written = orjson.loads(await api.store.tickets.find(digest) or b"")
    assert (written["scopes"], written["zone"]) == (newer["scopes"], "eu")
    await api.store.tickets.put(digest, b'{"stream": 7}', MINUTES)
    with pytest.raises(Unavailable):
        await office.open(text, ALL)


class TroubledTickets(Tickets):
    """Tickets of a store that cannot always be asked."""

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self.away = True
        self.extended: list[frozenset[str]] = []

    async def put(self, digest: str, kept: bytes, seconds: float) -> None:
        await self._tickets.put(digest, kept, seconds)

    async def find(self, digest: str) -> bytes | None:
        return await self._tickets.find(digest)

    async def replace(self, digest: str, former: bytes, kept: bytes, seconds: float) -> bool:
        return await self._tickets.replace(digest, former, kept, seconds)

    async def extend(self, kept: Mapping[str, bytes], seconds: float) -> frozenset[str]:
        if self.away:
            raise Unavailable("The disk is full.")
        self.extended.append(await self._tickets.extend(kept, seconds))
        return self.extended[-1]


async def test_a_store_that_does_not_answer_ends_no_connection(api: Api, caller: Principal) -> None:
    tickets = TroubledTickets(api.store.tickets)
    office = StreamTickets(tickets, api.services.keys, api.clock)
    connection = await office.open((await office.issue(caller)).text, ALL)
    async with connected(office, connection), renewing(office):
        await api.clock.elapse(12)
        assert office.is_current(connection)
        tickets.away = False
        await api.clock.elapse(6)
        async with patience():
            while not tickets.extended:
                await asyncio.sleep(0.001)
        assert tickets.extended == [{connection.digest}]
        assert office.is_current(connection)


async def settled(api: Api) -> None:
    """Once what was submitted to the store before is done."""
    for _ in range(3):
        await api.store.tickets.put("another", b"{}", 0.0)
