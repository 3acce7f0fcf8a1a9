"""Why deliveries are held: their subscription is disabled, or its channel can send nothing until a setting is right.

Nothing of this is stored; see docs/decisions/0005.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import structlog

from channels.base import Channel, ChannelUnavailable
from hub.catalogue.subscriptions import Subscription

SANDBOX: Final = "sandbox: not sent"
"""What every attempt of a sandbox answers."""
_SANDBOX_WARNING = "HUB_SANDBOX is set: nothing is sent, and every attempt ends as succeeded. Unset it in production."
_log = structlog.get_logger(__name__)


class Holds:
    """What each process knows of the channels that can send nothing. In a sandbox every channel can.

    Example:

        holds = Holds(channels, sandbox=False)
        holds.reason(subscription)  # "mail is not set up: set HUB_SMTP_URL or HUB_EMAIL_PROVIDER"
    """

    def __init__(self, channels: Mapping[str, Channel[Any]], *, sandbox: bool) -> None:
        self.sandbox = sandbox
        self._channels = channels
        # By subscription, with the version of it that was refused: a changed one is tried without any of this.
        self._refused: dict[str, tuple[int, str]] = {}

    def reason(self, subscription: Subscription) -> str | None:
        """Why its deliveries are held; None when they are not."""
        if not subscription.spec.enabled:
            return f"the subscription is disabled: {subscription.disabled_reason}"
        return self.unavailable(subscription)

    def unavailable(self, subscription: Subscription) -> str | None:
        """Why nothing can be sent for it, whether it is enabled or not."""
        return self.misconfigured(subscription) or self.refused(subscription)

    def misconfigured(self, subscription: Subscription) -> str | None:
        """What is wrong with the settings of this process. Only a restart can make it right, so nothing is tried."""
        if self.sandbox:
            return None
        return self._channels[subscription.spec.channel].unavailable(subscription.target)

    def refused(self, subscription: Subscription) -> str | None:
        """What was answered when it was tried last. One delivery at a time is tried, until it is taken."""
        version, reason = self._refused.get(subscription.id, (None, None))
        return reason if version == subscription.version else None

    def learn(self, subscription: Subscription, refusal: ChannelUnavailable | None) -> None:
        """The channel has sent a message, or tried to; with a refusal it says that it can send none."""
        if refusal is not None:
            if self.refused(subscription) != refusal.detail:
                _log.warning("subscription.held", **_named(subscription), reason=refusal.detail)
            self._refused[subscription.id] = subscription.version, refusal.detail
        elif self._refused and self._refused.pop(subscription.id, None) is not None:
            _log.info("subscription.released", **_named(subscription))

    def warnings(self, subscriptions: Iterable[Subscription]) -> Sequence[str]:
        """What an operator has to know, each with the number of subscriptions that it holds."""
        if self.sandbox:
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
