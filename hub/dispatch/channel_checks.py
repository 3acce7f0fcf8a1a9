"""Whether the channels could send: their settings, and the credentials of the targets that are subscribed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import structlog

from channels.base import Channel, SendFailed, TargetModel
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.subscriptions import Subscription
from hub.catalogue.subscriptions.unreadable import ForeignTarget, UnreadableTarget

MAX_TARGETS = 50
"""How many targets of a channel are checked, so that a check does not become a burden on their servers."""
CHECK_SECONDS = 8.0
"""For all checks together, which run at once."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChannelProblem:
    """What is wrong with a channel, or with the target of one subscription."""

    detail: str
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelCheck:
    """What was found of one channel; `subscriptions` counts those that are enabled, of all tenants."""

    kind: str
    subscriptions: int
    problems: Sequence[ChannelProblem]


async def check_channels(channels: Mapping[str, Channel[Any]], catalogue: Catalogue | None) -> Sequence[ChannelCheck]:
    """Check every channel, and with a catalogue the targets in it; nothing is sent."""
    of_kind: dict[str, list[Subscription]] = {kind: [] for kind in channels}
    for subscription in catalogue.every_subscription() if catalogue else ():
        if subscription.spec.enabled:
            # Also of channels that only another version has.
            of_kind.setdefault(subscription.spec.channel, []).append(subscription)
    return await asyncio.gather(*(_check(kind, channels.get(kind), found) for kind, found in sorted(of_kind.items())))


async def _check(kind: str, channel: Channel[Any] | None, subscriptions: Sequence[Subscription]) -> ChannelCheck:
    targets = ((s.target, s.id) for s in islice(subscriptions, MAX_TARGETS))
    found = await asyncio.gather(
        _problem(channel, None, None), *(_problem(channel, target, id_) for target, id_ in targets)
    )
    return ChannelCheck(kind, len(subscriptions), [problem for problem in found if problem is not None])


async def _problem(
    channel: Channel[Any] | None, target: TargetModel | None, subscription_id: str | None
) -> ChannelProblem | None:
    if isinstance(target, UnreadableTarget | ForeignTarget):
        return ChannelProblem(target.held, subscription_id)
    if channel is None:
        return None
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await channel.check(target)
    except SendFailed as failed:
        return ChannelProblem(failed.detail, subscription_id)
    except TimeoutError:
        return ChannelProblem(f"no answer within {CHECK_SECONDS:g} s", subscription_id)
    except Exception as error:  # noqa: BLE001 - a channel may be code of others, and its defect is a finding
        _log.exception("channel.check_failed", channel=channel.kind)
        return ChannelProblem(f"its check failed: {type(error).__name__}", subscription_id)
    return None
