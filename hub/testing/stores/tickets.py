"""A ticket is taken once, before it expires."""

import asyncio
from datetime import timedelta

from hub.stores.base import Store
from hub.testing.clock import START, ManualClock
from hub.testing.stores.suite import StoreSuite

SOON = START + timedelta(seconds=60)


class TicketsConformance(StoreSuite):
    """The port `Tickets`."""

    async def test_a_ticket_is_taken_once(self, store: Store) -> None:
        await store.tickets.put("digest", b'{"tenant":"a"}', SOON)
        assert await store.tickets.take("digest") == b'{"tenant":"a"}'
        assert await store.tickets.take("digest") is None
        assert await store.tickets.take("unknown") is None

    async def test_of_many_who_take_a_ticket_at_once_one_gets_it(self, store: Store) -> None:
        await store.tickets.put("digest", b"holder", SOON)
        taken = await asyncio.gather(*(store.tickets.take("digest") for _ in range(20)))
        assert sum(holder == b"holder" for holder in taken) == 1

    async def test_a_ticket_is_good_until_its_time(self, store: Store, clock: ManualClock) -> None:
        for name in ("early", "late"):
            await store.tickets.put(name, b"holder", SOON)
        clock.advance(59.999)
        assert await store.tickets.take("early") == b"holder"
        clock.advance(0.001)
        assert await store.tickets.take("late") is None

    async def test_expired_tickets_do_not_hide_those_that_are_good(self, store: Store, clock: ManualClock) -> None:
        await store.tickets.put("old", b"old", START + timedelta(seconds=1))
        await store.tickets.put("new", b"new", SOON)
        clock.advance(2)
        await store.tickets.put("newest", b"newest", SOON)
        assert await store.tickets.take("new") == b"new"
        assert await store.tickets.take("newest") == b"newest"
        assert await store.tickets.take("old") is None
