"""Why deliveries are held: their subscription is disabled, or its channel can send nothing until a setting is right.

Nothing of this is stored with them; see docs/decisions/0005.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from channels.base import Channel, ChannelUnavailable
from hub.catalogue.subscriptions import Subscription
from hub.catalogue.subscriptions.unreadable import ForeignTarget, UnreadableTarget
from hub.stores.base import FASTEST_PER_SECOND, SLOWEST_PER_SECOND

SANDBOX: Final = "sandbox: not sent"
"""What every attempt of a sandbox answers."""
_SANDBOX_WARNING = "HUB_SANDBOX is set: nothing is sent, and every attempt ends as succeeded. Unset it in production."
FIRST_PAUSE_SECONDS: Final = 10.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""How long a lane is left alone after a refusal, before one delivery is tried; doubled each time."""
MAX_TOLD: Final = 1_000
"""How many subscriptions a report names at most."""
MAX_REASON_CHARS: Final = 300
_log = structlog.get_logger(__name__)


class HoldReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a process that delivers can send nothing to, and why, by the id of the subscription."""

    version: int
    """Of the catalogue that it had; it says nothing of a subscription that was written later."""
    misconfigured: dict[str, str] = {}
    refused: dict[str, str] = {}
    sandbox: bool = False
    is_cut: bool = False
    """More are held than it names."""

    def speaks_of(self, subscription: Subscription) -> bool:
        if self.is_cut and subscription.id not in self.misconfigured and subscription.id not in self.refused:
            return False
        return subscription.version <= self.version


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What was answered last. It holds only for the version of the subscription that was refused."""

    version: int
    reason: str
    pause_seconds: float
    until: datetime


class Holds:
    """What each process knows of the channels that can send nothing. In a sandbox every channel can.

    What is shown comes from the processes that deliver, where they told it; what is done, in a process that delivers,
    comes from its own settings.

    Example:

        holds = Holds(channels, sandbox=False)
        holds.reason(subscription)  # "mail is not set up: set HUB_SMTP_URL or HUB_EMAIL_PROVIDER"
    """

    def __init__(self, channels: Mapping[str, Channel[Any]], *, sandbox: bool) -> None:
        self.sandbox = sandbox
        self._channels = channels
        self._refusals: dict[str, _Refusal] = {}
        self.changes = 0
        """Grows with each refusal that is new or over."""
        self.told: Sequence[HoldReport] = ()
        """What other processes hold, in a process that delivers nothing (`hub.dispatch.shared_holds`)."""

    def reason(self, subscription: Subscription) -> str | None:
        """Why its deliveries are held; None when they are not."""
        if not subscription.spec.enabled:
            return f"the subscription is disabled: {subscription.disabled_reason}"
        return self.unavailable(subscription)

    def held(self, subscriptions: Iterable[Subscription]) -> frozenset[str]:
        """Ids of those whose pending deliveries are held."""
        return frozenset(made.id for made in subscriptions if self.reason(made) is not None)

    def unavailable(self, subscription: Subscription) -> str | None:
        """Why nothing can be sent for it, whether it is enabled or not."""
        told = [report for report in self.told if report.speaks_of(subscription)]
        if not told:
            return self.misconfigured(subscription) or self.refused(subscription)
        # One process with the right settings is enough, and what the provider refuses it refuses all.
        missing = [report.misconfigured.get(subscription.id) for report in told]
        refused = (report.refused.get(subscription.id) for report in told)
        return missing[0] if all(missing) else next(filter(None, refused), None)

    def is_told_of(self, subscription: Subscription) -> bool:
        """Whether a process that delivers has told whether it can send to this version of it."""
        return any(report.speaks_of(subscription) for report in self.told)

    def report(self, subscriptions: Iterable[Subscription], version: int) -> HoldReport:
        """What this process has to tell the others, with the version of the catalogue that has these subscriptions."""
        misconfigured: dict[str, str] = {}
        refused: dict[str, str] = {}
        for one in subscriptions:
            if len(misconfigured) + len(refused) >= MAX_TOLD:
                return HoldReport(version, misconfigured, refused, self.sandbox, is_cut=True)
            if (reason := self.misconfigured(one)) is not None:
                misconfigured[one.id] = reason[:MAX_REASON_CHARS]
            elif (reason := self.refused(one)) is not None:
                refused[one.id] = reason[:MAX_REASON_CHARS]
        return HoldReport(version, misconfigured, refused, self.sandbox)

    def misconfigured(self, subscription: Subscription) -> str | None:
        """What is wrong with the settings of this process, or with the target as it can be read. Only a change of them
        can make it right, so nothing is tried."""
        if isinstance(subscription.target, UnreadableTarget | ForeignTarget):
            return subscription.target.held
        rate = subscription.per_second
        if rate is not None and not SLOWEST_PER_SECOND <= rate <= FASTEST_PER_SECOND:
            # Of a channel: what a subscription sets itself is checked when it is written, and when it is read.
            return f"the rate of its channel, {rate} a second, is not between {SLOWEST_PER_SECOND:f} and 10000"
        if self.sandbox:
            return None
        channel = self._channels[subscription.spec.channel]
        try:
            return channel.unavailable(subscription.target)
        except Exception:  # noqa: BLE001 - a channel may be code of others, whose defects must stop nothing else
            _log.exception("channel.crashed", **_named(subscription))
            return None

    def refused(self, subscription: Subscription) -> str | None:
        """What was answered when it was tried last. One delivery at a time is tried, until it is taken."""
        refusal = self._refusal(subscription)
        return refusal.reason if refusal else None

    def pause_seconds(self, subscription: Subscription) -> float:
        """How long to leave its lane alone after the last refusal."""
        refusal = self._refusal(subscription)
        return refusal.pause_seconds if refusal else FIRST_PAUSE_SECONDS

    def learn(self, subscription: Subscription, refusal: ChannelUnavailable | None, at: datetime) -> None:
        """The channel tried to send a message at this instant; with a refusal it says that it can send none."""
        if refusal is None:
            if self._refusals and self._refusals.pop(subscription.id, None) is not None:
                self.changes += 1
                _log.info("subscription.released", **_named(subscription))
            return
        last = self._refusal(subscription)
        if last is None or last.reason != refusal.detail:
            self.changes += 1
            _log.warning("subscription.held", **_named(subscription), reason=refusal.detail)
        # Attempts that were under way together are one refusal.
        seconds = FIRST_PAUSE_SECONDS
        if last is not None:
            again = last.until <= at
            seconds = min(2 * last.pause_seconds, LONGEST_PAUSE_SECONDS) if again else last.pause_seconds
        until = at + timedelta(seconds=seconds)
        self._refusals[subscription.id] = _Refusal(subscription.version, refusal.detail, seconds, until)

    def _refusal(self, subscription: Subscription) -> _Refusal | None:
        refusal = self._refusals.get(subscription.id)
        return refusal if refusal is not None and refusal.version == subscription.version else None

    def warnings(self, subscriptions: Iterable[Subscription]) -> Sequence[str]:
        """What an operator has to know, each with the number of subscriptions that it holds."""
        if any(report.sandbox for report in self.told) if self.told else self.sandbox:
            return [_SANDBOX_WARNING]
        held = Counter(
            (made.spec.channel, reason)
            for made in subscriptions
            if made.spec.enabled and (reason := self.unavailable(made)) is not None
        )
        return [
            f"Deliveries of {number} subscription{'s' if number > 1 else ''} to {channel} are held: {reason}."
            for (channel, reason), number in sorted(held.items())
        ]


def _named(subscription: Subscription) -> dict[str, str]:
    return {
        "tenant": subscription.tenant,
        "subscription_id": subscription.id,
        "channel": subscription.spec.channel,
    }
