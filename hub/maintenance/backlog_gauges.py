"""What waits in the whole hub, for the metrics of the processes that tell it."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from hub.catalogue.catalogue import Catalogue
from hub.clock import Clock
from hub.dispatch.holds import Holds
from hub.errors import Unavailable
from hub.stores.base import Backlog, Upkeep
from hub.telemetry.metrics import Metrics, Waiting

FRESH_SECONDS = 5.0
"""For how long numbers are shown again, however often they are asked for."""
READ_SECONDS = 3.0
"""How long reading them may take; Prometheus gives up on a scrape after ten."""
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class BacklogGauges:
    """Reads the backlog from the store and shows it in the metrics.

    Example:

        metrics = Metrics()
        await BacklogGauges(store.upkeep, catalogue, sender.holds, clock, metrics).refresh()
        metrics.render()  # with hub_deliveries_pending{channel="webhook"}
    """

    upkeep: Upkeep
    catalogue: Catalogue
    holds: Holds
    clock: Clock
    metrics: Metrics
    _read_at: float | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self) -> None:
        """Read the backlog again, unless it is fresh. While the store cannot tell, nothing is shown: an old number
        would look like one of now."""
        async with self._reading:
            if self._read_at is not None and self.clock.monotonic() - self._read_at < FRESH_SECONDS:
                return
            self._read_at = self.clock.monotonic()
            try:
                async with asyncio.timeout(READ_SECONDS):
                    channels = await self._read()
            except (TimeoutError, Unavailable) as error:
                _log.warning("metrics.backlog_unavailable", reason=str(error) or "the store took too long")
                channels = {}
            self.metrics.show_waiting(channels)

    async def _read(self) -> dict[str, Waiting]:
        found: dict[str, list[Backlog]] = {}
        for tenant in [*self.catalogue.tenants]:
            subscriptions = self.catalogue.subscriptions(tenant).values()
            lanes, held = {one.id: one.spec.channel for one in subscriptions}, self.holds.held(subscriptions)
            # Shown as 0 where nothing waits, so that a missing number means that the store could not tell.
            for channel in lanes.values():
                found.setdefault(channel, [])
            for channel, backlog in (await self.upkeep.backlog(tenant, lanes, held)).items():
                found.setdefault(channel, []).append(backlog)
        now = self.clock.now()
        return {channel: _waiting(backlogs, now) for channel, backlogs in found.items()}


def _waiting(backlogs: list[Backlog], now: datetime) -> Waiting:
    oldest = min((one.oldest_pending_at for one in backlogs if one.oldest_pending_at), default=now)
    return Waiting(
        pending=sum(one.pending for one in backlogs),
        held=sum(one.held for one in backlogs),
        dead=sum(one.dead for one in backlogs),
        oldest_pending_seconds=max(0.0, (now - oldest).total_seconds()),
    )
