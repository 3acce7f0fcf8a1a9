"""What is kept of a ticket changes only from what it was, and is kept until its time."""

import asyncio

from hub.stores.base import Store
from hub.testing.clock import ManualClock
from hub.testing.stores.suite import OpenStore, StoreSuite

SOON = 60.0
LATER = 600.0
"""Seconds."""


class TicketsConformance(StoreSuite):
    """The port `Tickets`."""

    async def test_a_ticket_is_found_as_it_was_put(self, store: Store) -> None:
        await store.tickets.put("digest", b'{"tenant":"a"}', SOON)
        assert await store.tickets.find("digest") == b'{"tenant":"a"}'
        assert await store.tickets.find("digest") == b'{"tenant":"a"}'
        assert await store.tickets.find("unknown") is None

    async def test_a_ticket_survives_a_restart(self, opened: OpenStore) -> None:
        await (await opened.open()).tickets.put("digest", b"one", SOON)
        assert await (await opened.reopen()).tickets.find("digest") == b"one"

    async def test_a_ticket_is_good_until_its_time(self, store: Store, clock: ManualClock) -> None:
        await store.tickets.put("digest", b"one", SOON)
        clock.advance(59.999)
        assert await store.tickets.find("digest") == b"one"
        clock.advance(0.001)
        assert await store.tickets.find("digest") is None
        assert not await store.tickets.replace("digest", b"one", b"two", LATER)
        assert await store.tickets.extend({"digest": b"one"}, LATER) == frozenset()
        assert await store.tickets.find("digest") is None

    async def test_a_ticket_is_replaced_only_where_it_is_what_the_caller_knows(self, store: Store) -> None:
        await store.tickets.put("digest", b"one", SOON)
        assert not await store.tickets.replace("digest", b"zero", b"two", LATER)
        assert await store.tickets.find("digest") == b"one"
        assert await store.tickets.replace("digest", b"one", b"two", LATER)
        assert await store.tickets.find("digest") == b"two"
        assert not await store.tickets.replace("unknown", b"one", b"two", LATER)
        assert await store.tickets.find("unknown") is None

    async def test_a_replacement_that_is_repeated_because_its_answer_was_lost_is_made(self, store: Store) -> None:
        await store.tickets.put("digest", b"one", SOON)
        assert await store.tickets.replace("digest", b"one", b"two", LATER)
        assert await store.tickets.replace("digest", b"one", b"two", LATER)

    async def test_of_many_that_replace_the_same_at_once_one_succeeds(self, store: Store) -> None:
        await store.tickets.put("digest", b"one", SOON)
        made = await asyncio.gather(
            *(store.tickets.replace("digest", b"one", b"%d" % number, LATER) for number in range(20))
        )
        assert made.count(True) == 1
        assert await store.tickets.find("digest") == b"%d" % made.index(True)

    async def test_a_replacement_has_a_time_of_its_own(self, store: Store, clock: ManualClock) -> None:
        await store.tickets.put("digest", b"one", SOON)
        assert await store.tickets.replace("digest", b"one", b"two", LATER)
        clock.advance(599)
        assert await store.tickets.find("digest") == b"two"
        clock.advance(1)
        assert await store.tickets.find("digest") is None

    async def test_those_that_are_unchanged_live_on_and_are_named(self, store: Store, clock: ManualClock) -> None:
        for name in ("same", "changed", "left"):
            await store.tickets.put(name, b"one", SOON)
        assert await store.tickets.replace("changed", b"one", b"two", SOON)
        asked = {"same": b"one", "changed": b"one", "unknown": b"one"}
        assert await store.tickets.extend(asked, LATER) == {"same"}
        assert await store.tickets.extend({}, LATER) == frozenset()
        clock.advance(60)
        kept = [await store.tickets.find(name) for name in ("same", "changed", "left")]
        assert kept == [b"one", None, None]

    async def test_expired_tickets_do_not_hide_those_that_are_good(self, store: Store, clock: ManualClock) -> None:
        await store.tickets.put("old", b"old", 1.0)
        await store.tickets.put("new", b"new", SOON)
        clock.advance(2)
        await store.tickets.put("newest", b"newest", SOON)
        assert await store.tickets.find("new") == b"new"
        assert await store.tickets.find("newest") == b"newest"
        assert await store.tickets.find("old") is None
