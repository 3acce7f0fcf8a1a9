"""Searching events and deliveries for a text that a person remembers: an order, an address, an id."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from hub.catalogue.event_types.service import EventTypes
from hub.clock import Clock
from hub.dispatch.deliveries import Deliveries
from hub.dispatch.events import Events
from hub.models import Delivery, Event
from hub.stores.base import DeliveryQuery, EventQuery, Listing, Page, TextSearch

T = TypeVar("T")

SEARCH_SECONDS = 1.75
"""After this, no further step is begun, so that an answer comes within two seconds."""


class Search:
    """Goes through a list step by step until a page is full or the time is up.

    There is no index of texts: it would make every event more expensive to accept. See docs/decisions/0020.

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

    async def events(self, tenant: str, text: str, query: EventQuery, page: Page) -> Listing[Event]:
        """Newest first."""
        asked = replace(query, search=self._search(tenant, text))
        return await self._run(lambda step: self._events.listing(tenant, asked, step), page)

    async def deliveries(self, tenant: str, text: str, query: DeliveryQuery, page: Page) -> Listing[Delivery]:
        """Newest first."""
        asked = replace(query, search=self._search(tenant, text))
        return await self._run(lambda step: self._deliveries.listing(tenant, asked, step), page)

    def _search(self, tenant: str, text: str) -> TextSearch:
        return TextSearch(text, self._event_types.searched(tenant))

    async def _run(self, read: Callable[[Page], Awaitable[Listing[T]]], page: Page) -> Listing[T]:
        deadline = self._clock.monotonic() + SEARCH_SECONDS
        found: list[T] = []
        cursor = page.cursor
        while True:
            async with self._turn:
                step = await read(Page(page.limit - len(found), cursor))
            found += step.items
            cursor = step.next_cursor
            if cursor is None or len(found) == page.limit:
                return Listing(tuple(found), cursor)
            if self._clock.monotonic() >= deadline:
                return Listing(tuple(found), cursor, step.searched_to)
