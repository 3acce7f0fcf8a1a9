"""A ticket opens the stream once, and within a minute."""

import asyncio

import pytest

from hub.catalogue.keys.model import Principal
from hub.errors import Unauthorized
from hub.models import Scope
from hub.stores.process import ProcessTickets
from hub.stream import StreamTickets
from hub.testing.clock import ManualClock

CALLER = Principal("key_1", "acme", frozenset({Scope.READ}))


@pytest.fixture
def office(clock: ManualClock) -> StreamTickets:
    return StreamTickets(ProcessTickets(clock), clock)


async def test_a_ticket_stands_for_its_caller_once(office: StreamTickets) -> None:
    ticket = await office.issue(CALLER)
    assert await office.redeem(ticket) == CALLER
    with pytest.raises(Unauthorized):
        await office.redeem(ticket)


async def test_of_many_that_present_it_at_once_one_is_let_in(office: StreamTickets) -> None:
    ticket = await office.issue(CALLER)
    found = await asyncio.gather(*[office.redeem(ticket) for _ in range(10)], return_exceptions=True)
    assert sum(principal == CALLER for principal in found) == 1


async def test_a_ticket_is_good_for_a_minute(office: StreamTickets, clock: ManualClock) -> None:
    early, late = await office.issue(CALLER), await office.issue(CALLER)
    clock.advance(59.9)
    assert await office.redeem(early) == CALLER
    clock.advance(0.1)
    with pytest.raises(Unauthorized):
        await office.redeem(late)


@pytest.mark.parametrize("text", ["", "x", "é" * 50])
async def test_a_made_up_ticket_opens_nothing(office: StreamTickets, text: str) -> None:
    with pytest.raises(Unauthorized):
        await office.redeem(text)


async def test_tickets_are_unguessable_and_not_kept_in_clear(clock: ManualClock) -> None:
    tickets = ProcessTickets(clock)
    office = StreamTickets(tickets, clock)
    issued = {await office.issue(CALLER) for _ in range(100)}
    assert len(issued) == 100
    assert all(len(text) >= 43 for text in issued)
    assert not issued & tickets._open.keys()


async def test_tickets_that_nobody_used_are_forgotten(clock: ManualClock) -> None:
    tickets = ProcessTickets(clock)
    office = StreamTickets(tickets, clock)
    for _ in range(100):
        await office.issue(CALLER)
        clock.advance(1)
    assert len(tickets._open) <= 60
