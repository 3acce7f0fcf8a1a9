"""What the processes that deliver tell the others of the deliveries that they hold. See docs/decisions/0005."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NoReturn

import msgspec
import structlog

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.subscriptions import Subscription
from hub.clock import Clock
from hub.dispatch.holds import HoldReport, Holds
from hub.errors import Unavailable
from hub.stores.base import Reports

REPORT_SECONDS = 15.0
"""For how long a report counts: a process that died tells nothing for long."""
REPORT_EVERY_SECONDS = 5.0
LOOK_SECONDS = 0.5
"""Between looks at whether there is something to tell, or something told."""
SETTLE_SECONDS = 2.0
_STEP_SECONDS = 0.1
_log = structlog.get_logger(__name__)


class SharedHolds:
    """Tells what this process holds, or reads what those that deliver hold, with `holds` as the place of both.

    Example:

        shared = SharedHolds(sender.holds, catalogue, store.reports, process_id, clock)
        await shared.read()
        sender.holds.reason(subscription)  # what the processes that deliver would say
    """

    def __init__(self, holds: Holds, catalogue: Catalogue, reports: Reports, process_id: str, clock: Clock) -> None:
        self._holds = holds
        self._catalogue = catalogue
        self._reports = reports
        self._process_id = process_id
        self._clock = clock

    async def report(self) -> NoReturn:
        """Tell the others, at once after each change, until cancelled."""
        told: object = None
        due = 0.0
        while True:
            known = self._catalogue.version, self._holds.changes
            if known != told or self._clock.monotonic() >= due:
                due = self._clock.monotonic() + REPORT_EVERY_SECONDS
                try:
                    await self._reports.put(self._process_id, self._encoded(), REPORT_SECONDS)
                    told = known
                except Unavailable as error:
                    _log.warning("holds.report_failed", reason=error.detail)
            await self._clock.sleep(LOOK_SECONDS)

    async def follow(self) -> NoReturn:
        """Read what is told, until cancelled. While the store cannot say, what was told last stands."""
        while True:
            with suppress(Unavailable):
                await self.read()
            await self._clock.sleep(LOOK_SECONDS)

    async def read(self) -> None:
        """Read what is told now. Raises `Unavailable`."""
        self._holds.told = _decoded((await self._reports.told()).values())

    async def settled(self, subscription: Subscription) -> str | None:
        """Why nothing can be sent for a subscription that was just written; None when something can.

        Where this process could not send to it, those who deliver have two seconds to look at it. Otherwise there is
        hardly a reason to hold anything, and what there is shows with the next look.
        """
        # As the catalogue has it, with the version in which it was written.
        written = self._catalogue.subscription(subscription.id) or subscription
        if self._holds.misconfigured(written) is not None:
            await self._await_report(written)
        return self._holds.unavailable(written)

    async def _await_report(self, written: Subscription) -> None:
        ends = self._clock.monotonic() + SETTLE_SECONDS
        with suppress(Unavailable):
            while self._holds.told and not self._holds.is_told_of(written) and self._clock.monotonic() < ends:
                await self._clock.sleep(_STEP_SECONDS)
                await self.read()

    def _encoded(self) -> bytes:
        return msgspec.json.encode(self._holds.report(self._catalogue.every_subscription(), self._catalogue.version))


def _decoded(reports: Iterable[bytes]) -> Sequence[HoldReport]:
    found = []
    for report in reports:
        # One that only another version can read says nothing here.
        with suppress(msgspec.DecodeError):
            found.append(msgspec.json.decode(report, type=HoldReport))
    return found
