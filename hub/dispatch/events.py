"""Events as people look at them."""

from hub.errors import NotFound
from hub.models import Event
from hub.stores.base import Archive, EventQuery, Listing, Page


class Events:
    """Reads accepted events. An event of another tenant does not exist."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def find(self, tenant: str, event_id: str) -> Event:
        """Raises `NotFound`."""
        event = await self._archive.event(tenant, event_id)
        if event is None:
            raise NotFound("There is no such event.")
        return event

    async def listing(self, tenant: str, query: EventQuery, page: Page) -> Listing[Event]:
        """Newest first."""
        return await self._archive.events(tenant, query, page)
