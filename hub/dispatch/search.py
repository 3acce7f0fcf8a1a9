"""Lists of events and deliveries, and searches in them for a text that a person remembers: an order, an address."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from hub.catalogue.event_types.service import EventTypes
from hub.clock import Clock
from hub.dispatch.deliveries import Deliveries
from hub.dispatch.events import Events
from hub.models import Delivery, Event
from hub.shares import TenantTurns
from hub.stores.base import DeliveryQuery, EventQuery, Listing, Page, Stats, TextSearch

T = TypeVar("T")

SEARCH_SECONDS = 1.75
"""After this, no further step of a search is begun, so that an answer comes within two seconds."""
LIST_SECONDS = 0.15
"""As `SEARCH_SECONDS`, for a list without a search: an answer comes within a quarter of a second."""


class Search:
    """Goes through a list step by step until a page is full or the time is up.

    There is no index of texts, nor of each combination of conditions: it would make every event more expensive to
    accept. See docs/decisions/0020 and docs/decisions/0032.

    Example:

        found = await search.deliveries("default", "o-77", DeliveryQuery(channel="email"), Page(limit=50))
        found.searched_to  # None: everything was looked at, or the page is full
    """

    def __init__(self, events: Events, deliveries: Deliveries, event_types: EventTypes, clock: Clock) -> None:
        self._events = events
        self._deliveries = deliveries
        self._event_types = event_types
        self._clock = clock
        # One step at a time: however many search at once, they take no more of the store than one does.
        self._turn = asyncio.Lock()
        # And of the lists and numbers of a tenant, so that one who asks for many leaves readers to the others.
        self._turns = TenantTurns()

    async def events(self, tenant: str, text: str | None, query: EventQuery, page: Page) -> Listing[Event]:
        """Newest first; those in which the text is found, unless it is None."""
        asked = query if text is None else replace(query, search=self._search(tenant, text))
        return await self._run(tenant, text, lambda step: self._events.listing(tenant, asked, step), page)

    async def deliveries(self, tenant: str, text: str | None, query: DeliveryQuery, page: Page) -> Listing[Delivery]:
        """As `events`."""
        asked = query if text is None else replace(query, search=self._search(tenant, text))
        return await self._run(tenant, text, lambda step: self._deliveries.listing(tenant, asked, step), page)

    async def stats(self, tenant: str, since: datetime, channel: str | None) -> Stats:
        """What happened since an instant: on one channel, or on all of them."""
        async with self._turns.of(tenant):
            return await self._deliveries.stats(tenant, since, channel)

    def _search(self, tenant: str, text: str) -> TextSearch:
        return TextSearch(text, self._event_types.searched(tenant))

    async def _run(
        self, tenant: str, text: str | None, read: Callable[[Page], Awaitable[Listing[T]]], page: Page
    ) -> Listing[T]:
        turn = self._turns.of(tenant) if text is None else self._turn
        deadline = self._clock.monotonic() + (LIST_SECONDS if text is None else SEARCH_SECONDS)
        found: list[T] = []
        cursor = page.cursor
        while True:
            async with turn:
                step = await read(Page(page.limit - len(found), cursor))
            found += step.items
            cursor = step.next_cursor
            # A step that did not stop before the end of what it looked at has filled the page.
            if cursor is None or step.searched_to is None:
                return Listing(tuple(found), cursor)
            if self._clock.monotonic() >= deadline or len(found) == page.limit:
                return Listing(tuple(found), cursor, step.searched_to)
